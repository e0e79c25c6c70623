"""Settings that contradict each other, end a run without a checkpoint, or have no effect."""

import pytest
from omegaconf import OmegaConf

from spinpot.config.conflicts import CALLBACKS, remarks
from spinpot.config.targets import find_target, parameters
from spinpot.config.validate import validate
from spinpot.core.errors import InputError
from support.configs import composed

EPOCH = "Lightning's epoch is the whole run"

REFUSED = {
    "trainer.max_epochs=10": f"trainer.max_epochs=10: {EPOCH}; its length is trainer.max_steps. Use "
    "max_epochs=-1.",
    "trainer.max_epochs=0": f"trainer.max_epochs=0: {EPOCH}; its length is trainer.max_steps. Use "
    "max_epochs=-1.",
    "+trainer.min_epochs=3": f"trainer.min_epochs=3: {EPOCH}; its length is trainer.max_steps. Leave it out.",
    "+trainer.min_steps=2": "trainer.min_steps=2: until then SIGTERM, trainer.max_time and early stopping "
    "could not end the run. Leave it out; early stopping waits longer by callbacks.early_stopping.patience.",
    "trainer.check_val_every_n_epoch=2": f"trainer.check_val_every_n_epoch=2: {EPOCH}; the interval is "
    "trainer.val_check_interval, in steps. Use null.",
    "trainer.num_sanity_val_steps=2": "trainer.num_sanity_val_steps=2: the first validation is "
    "after trainer.val_check_interval steps. Use 0.",
    "trainer.use_distributed_sampler=true": "trainer.use_distributed_sampler=true: the data module "
    "distributes the frames over the processes itself. Use false.",
    "+trainer.fast_dev_run=true": "trainer.fast_dev_run=true: it keeps no checkpoint, so nothing could be "
    "evaluated. Use debug=fast.",
    "+trainer.barebones=true": "trainer.barebones=true: it keeps no checkpoint and logs nothing. Use "
    "spinpot benchmark for times.",
    "+trainer.enable_checkpointing=false": "trainer.enable_checkpointing=false: nothing would be left of the "
    "run. Leave it out.",
    "+trainer.default_root_dir=a": "trainer.default_root_dir=a: the run folder is hydra.run.dir. Set that.",
    "+trainer.logger=true": "trainer.logger=true: loggers are the section logger of the config. Put them "
    "there.",
    "+trainer.limit_val_batches=0": "trainer.limit_val_batches=0: without validation no checkpoint would be "
    "written. Use 1.0, or a number of batches.",
    "+trainer.limit_train_batches=0.0": "trainer.limit_train_batches=0.0: without training no checkpoint "
    "would be written. Use 1.0, or a number of batches.",
    "trainer.max_time='00:00:00:00'": "trainer.max_time=00:00:00:00: no time to train. Expected "
    "days:hours:minutes:seconds.",
    "trainer.max_time={hours:0}": "trainer.max_time={'hours': 0}: no time to train. Expected "
    "days:hours:minutes:seconds.",
    "optimizer.lr=0.01": "optimizer.lr=0.01 and scheduler.start_lr=0.005: two learning rates for the "
    "first step. Set scheduler.start_lr; if the config has a number for optimizer.lr, as a run's "
    "config.yaml does, set both to the same value.",
    "~optimizer.lr": "optimizer.lr is missing: spinpot.training.optimizers.Adam would start with its own "
    "default, not scheduler.start_lr. Add lr: ${scheduler.start_lr} to the section optimizer.",
    "callbacks.checkpoint.mode=max": "callbacks.checkpoint.mode=max: the worst val/score would count as the "
    "best. Use mode=min.",
    "+callbacks.checkpoint.save_top_k=3": "callbacks.checkpoint.save_top_k=3: all would overwrite "
    "one file. Use 1; to keep more, add a callback with another filename, e.g. '{step}'.",
    "+callbacks.checkpoint.dirpath=a": "callbacks.checkpoint.dirpath=a: the file must be in "
    "RUN/checkpoints. Leave it out; the run folder is hydra.run.dir.",
    "+callbacks.checkpoint.every_n_epochs=2": f"callbacks.checkpoint.every_n_epochs=2: {EPOCH}, so that "
    "nothing would be saved. Leave it out.",
    "+callbacks.last_checkpoint.save_on_train_epoch_end=true": "callbacks.last_checkpoint."
    f"save_on_train_epoch_end=true: {EPOCH}, so that only its end would be saved. Leave it out.",
    "~callbacks.checkpoint ~callbacks.last_checkpoint": "callbacks: none writes checkpoints/best.ckpt or "
    "last.ckpt, so nothing could be evaluated at the end. Keep callbacks.checkpoint and "
    "callbacks.last_checkpoint as in configs/callbacks/default.yaml, and give other callbacks other "
    "names.",
    "callbacks=early_stopping +callbacks.early_stopping.check_on_train_epoch_end=true": "callbacks."
    f"early_stopping.check_on_train_epoch_end=true: {EPOCH}, so that it would stop nothing. Leave it out.",
    "callbacks=early_stopping callbacks.early_stopping.mode=max": "callbacks.early_stopping.mode=max: the "
    "worst val/score would count as the best. Use mode=min.",
    "callbacks=ema +callbacks.ema.update_starting_at_step=3000": "callbacks.ema."
    "update_starting_at_step=3000: the run has 3000 steps, so the initial weights would be validated and "
    "saved throughout. Give a smaller number.",
    "callbacks=ema +callbacks.ema.update_starting_at_epoch=1": "callbacks.ema.update_starting_at_epoch=1: "
    f"{EPOCH}. Use update_starting_at_step.",
}


@pytest.mark.parametrize("overrides", REFUSED)
def test_refused(overrides):
    with pytest.raises(InputError) as caught:
        validate(composed(*overrides.split()))
    assert str(caught.value) == REFUSED[overrides]


SAID = {
    "": [],
    "init_from_bias=refit": ["init_from_bias=refit has no effect with init_from=null."],
    "init_from_bias=refit init_from=a": [],
    "scheduler.warmup_start_factor=0.1": [
        "scheduler.warmup_start_factor=0.1 has no effect with scheduler.warmup_steps=0."
    ],
    "loss.huber_delta=0.1": ["loss.huber_delta=0.1 has no effect with loss.loss_func=mse."],
    "loss.huber_delta=0.1 loss.loss_func=huber": [],
    "loss.intensive_ener_virial=true": [],
    "loss.intensive_ener_virial=true loss.loss_func=mae": [
        "loss.intensive_ener_virial=true has no effect with loss.loss_func=mae."
    ],
    "+model.exchange.n_radial=8": ["model.exchange.n_radial=8 has no effect with model.exchange.terms=[]."],
    "model/exchange=full model.exchange.n_radial=8": [],
    "+trainer.gradient_clip_algorithm=value": [
        "trainer.gradient_clip_algorithm=value has no effect with trainer.gradient_clip_val=null."
    ],
    "data.seed=3": ["data.seed=3 determines the order of the frames, seed=0 only the initial weights."],
    "debug=overfit": [
        "trainer.overfit_batches=1: training repeats the same batches, and validation uses as many of its "
        "own."
    ],
    "+trainer.overfit_batches=0": [],
    "+trainer.overfit_batches=0.0": [],
    "+trainer.overfit_batches=0.5": [
        "trainer.overfit_batches=0.5: training repeats the same batches, and validation uses as many of its "
        "own."
    ],
    "+trainer.limit_train_batches=1": ["trainer.limit_train_batches=1: training repeats the same batches."],
    "+trainer.limit_train_batches=1.0": [],
    "+trainer.limit_val_batches=0.5": [
        "trainer.limit_val_batches=0.5: val/score and best.ckpt depend on this part of the validation set "
        "only."
    ],
    "~callbacks.checkpoint": [
        "No callback writes checkpoints/best.ckpt: the final errors are those of last.ckpt."
    ],
    "~callbacks.last_checkpoint": [
        "No callback writes a complete checkpoints/last.ckpt: resume=auto cannot resume the run."
    ],
    "+callbacks.last_checkpoint.save_weights_only=true": [
        "No callback writes a complete checkpoints/last.ckpt: resume=auto cannot resume the run."
    ],
    "+callbacks.checkpoint.every_n_train_steps=3": [
        "best.ckpt is saved between validations, but its val/score is that of the last validation, with "
        "other weights."
    ],
    "+callbacks.last_checkpoint.every_n_train_steps=10": [],
}


@pytest.mark.parametrize("overrides", SAID)
def test_said(overrides):
    config = composed(*overrides.split())
    validate(config)
    assert list(remarks(config)) == SAID[overrides]


@pytest.mark.parametrize("target", CALLBACKS)
def test_the_settings_looked_for_are_those_of_the_class(target):
    """A renamed argument of Lightning's would let everything through."""
    known = parameters(find_target("callbacks", target))
    assert known is None or set(CALLBACKS[target]) <= set(known)


def test_further_checkpoints_of_ones_own():
    config = composed()
    OmegaConf.set_struct(config, False)
    config.callbacks.every = {
        "_target_": "pytorch_lightning.callbacks.ModelCheckpoint",
        "every_n_train_steps": 100,
        "save_top_k": -1,
        "dirpath": "elsewhere",
        "filename": "{step}",
    }
    validate(config)
    assert list(remarks(config)) == []
