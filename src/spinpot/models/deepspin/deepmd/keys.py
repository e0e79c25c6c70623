"""The keys of an input.json: all that deepmd-kit knows, and the reasons why some are not carried over."""

from collections.abc import Iterator, Mapping
from typing import Any

from spinpot.core.errors import InputError
from spinpot.core.spelling import nearest

COMMENT = "_"  # deepmd-kit ignores keys that begin with it

REASONS = {
    "model.descriptor.seed": "training.seed is the only seed: it draws all weights and the order of frames",
    "model.fitting_net.seed": "training.seed is the only seed: it draws all weights and the order of frames",
    "model.descriptor.exclude_types": "deepmd-kit ignores it in spin models; see model.pair_exclude_types",
    "model.descriptor.trainable": "all weights are trained",
    "model.fitting_net.trainable": "all weights are trained",
    "model.fitting_net.rcond": "the energy bias is the least-squares solution of minimum norm",
    "model.fitting_net.atom_ener": "the energy bias is fitted to the data",
    "model.fitting_net.layer_name": "no layers are shared",
    "model.data_stat_nbatch": "statistics use all training frames",
    "model.data_stat_protect": "the smallest deviation is deepmd-kit's 0.01",
    "model.data_bias_nsample": "the energy bias is fitted to all training frames",
    "model.preset_out_bias": "the energy bias is fitted to the data",
    "model.atom_exclude_types": "every atom has an energy",
    "model.compress": "spinpot always interpolates the embedding",
    "loss.start_pref_ae": "there is no loss of atomic energies",
    "loss.limit_pref_ae": "there is no loss of atomic energies",
    "loss.start_pref_pf": "there is no loss with weights per atom",
    "loss.limit_pref_pf": "there is no loss with weights per atom",
    "loss.relative_f": "the loss uses absolute errors of forces",
    "loss.enable_atom_ener_coeff": "every atom's energy has the weight 1",
    "learning_rate.scale_by_worker": "data.batch_size counts frames per process; the rate is not scaled",
    "optimizer.weight_decay": "spinpot has weight decay only for Adam and AdamW",
    "optimizer.lr_adjust": "steps of matrices are 0.2·√max(n, m) times the rate, as with lr_adjust 0",
    "optimizer.lr_adjust_coeff": "steps of matrices are 0.2·√max(n, m) times the rate",
    "optimizer.muon_mode": "each net's matrix is updated separately",
    "optimizer.enable_gram": "matrices are orthogonalised by their Gram matrices in float32",
    "optimizer.flash_muon": "matrices are orthogonalised by their Gram matrices in float32",
    "optimizer.magma_muon": "Muon's steps are not damped",
    "training.training_data.auto_prob": "each pass has every frame once: systems count by their frames",
    "training.training_data.sys_probs": "each pass has every frame once: systems count by their frames",
    "training.training_data.min_pair_dist": "frames with overlapping atoms are refused",
    "training.training_data.set_prefix": "sets are folders set.*",
    "training.validation_data.numb_btch": "validation is over all frames, exactly",
    "training.validation_data.auto_prob": "validation is over all frames, exactly",
    "training.validation_data.sys_probs": "validation is over all frames, exactly",
    "training.validation_data.set_prefix": "sets are folders set.*",
    "training.disp_file": "the log is metrics.csv in the run folder",
    "training.disp_training": "the log has training and validation errors",
    "training.disp_avg": "validation errors are exact averages anyway",
    "training.time_training": "summary.json has the time per step",
    "training.save_ckpt": "checkpoints are best.ckpt and last.ckpt in the run folder",
    "training.save_dir": "the run folder is set by hydra.run.dir",
    "training.max_ckpt_keep": "checkpoints are best.ckpt and last.ckpt",
    "training.ckpt_keep_ratio": "checkpoints are best.ckpt and last.ckpt",
    "training.ema_ckpt_keep": "checkpoints are best.ckpt and last.ckpt",
    "training.change_bias_after_training": "the bias stays as trained",
    "training.stat_file": "statistics are always recomputed, which takes seconds",
    "training.stat_file_mode": "statistics are always recomputed, which takes seconds",
    "training.profiling": "use debug=profile",
    "training.profiling_file": "use debug=profile",
    "training.enable_profiler": "use debug=profile",
    "training.tensorboard_log_dir": "the log is in the run folder",
    "training.tensorboard_freq": "see training.disp_freq",
    "training.enable_compile": "torch.compile is not used",
    "training.neighbor_graph_method": "neighbours are found once per frame",
    "training.zero_stage": "every process holds the whole optimizer",
}
"""{key: why it is not carried over}."""
NOTHING = "spinpot has no equivalent"

_PREFACTORS = " ".join(
    f"start_pref_{name} limit_pref_{name}" for name in ("e", "f", "fr", "fm", "v", "gf", "h")
)
_OTHERS = {
    "": "model learning_rate loss optimizer training nvnmd validating",
    "model": """
        type type_map descriptor fitting_net spin type_embedding modifier info pair_exclude_types
        finetune_head model_branch_alias use_srtab smin_alpha sw_rmin sw_rmax srtab_add_bias bridging_method
        bridging_r_inner bridging_r_outer
        """,
    "model.descriptor": """
        type sel rcut rcut_smth neuron axis_neuron n_axis_neuron activation_function precision resnet_dt
        type_one_side set_davg_zero env_protection
        """,
    "model.fitting_net": """
        type neuron n_neuron activation_function precision resnet_dt numb_fparam numb_aparam default_fparam
        dim_case_embd use_aparam_as_mask
        """,
    "model.spin": "use_spin virtual_scale virtual_len spin_norm scheme allow_missing_label",
    "learning_rate": """
        type start_lr stop_lr stop_lr_ratio decay_steps decay_rate decay_type decay_phase_ratio smooth
        warmup_steps warmup_ratio warmup_start_factor
        """,
    "loss": f"""
        type {_PREFACTORS} loss_func intensive_ener_virial use_huber huber_delta f_use_norm
        numb_generalized_coord use_default_pf
        """,
    "optimizer": """
        type adam_beta1 adam_beta2 momentum muon_momentum kf_blocksize kf_start_pref_e kf_limit_pref_e
        kf_start_pref_f kf_limit_pref_f
        """,
    "training": """
        training_data validation_data numb_steps num_steps numb_step num_step stop_batch numb_epoch num_epoch
        numb_epochs num_epochs seed opt_type save_freq disp_freq gradient_max_norm acc_freq enable_ema
        ema_decay tensorboard enable_tf32 mixed_precision
        """,
    "training.training_data": "systems batch_size auto_prob_style sys_weights rglob_patterns",
    "training.validation_data": """
        systems batch_size auto_prob_style sys_weights rglob_patterns min_pair_dist numb_batch
        """,
}
_LEFT = [key.rpartition(".") for key in REASONS]
KEYS = {
    section: {*names.split(), *(name for place, _, name in _LEFT if place == section)}
    for section, names in _OTHERS.items()
}
"""Keys of deepmd-kit 2 and 3 for a spin model with se_e2_a; the keys of other sections are not checked."""


class InputKeys:
    """The contents of an input, and for each key whether it was carried over."""

    def __init__(self, contents: dict[str, Any]) -> None:
        self.contents = contents
        self._carried: set[str] = set()
        self._left: dict[str, str] = {}
        self.last = ""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a dotted key; marks it as carried over, and as `last`, for messages."""
        self.carry(key)
        self.last = key
        value = value_at(self.contents, key)
        return default if value is None else value

    def carry(self, *keys: str) -> None:
        """Mark keys, and all keys below them, as carried over."""
        self._carried.update(keys)

    def leave(self, key: str, reason: str) -> None:
        """Mark a key as not carried over, or changed, with the reason."""
        self._left[key] = reason

    def left(self) -> dict[str, str]:
        """{key: reason} for the keys that were not carried over."""
        for key in _leaves(self.contents):
            parts = key.split(".")
            parents = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
            if not parents & self._carried and not parts[-1].startswith(COMMENT):
                reason = next((REASONS[name] for name in parents if name in REASONS), NOTHING)
                self._left.setdefault(key, reason)
        return self._left


def _leaves(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def check_keys(contents: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a key that deepmd-kit does not have: a misspelt key must not be ignored."""
    for section, known in KEYS.items():
        given = value_at(contents, section)
        for name in given if isinstance(given, dict) else ():
            if name not in known and not name.startswith(COMMENT):
                key = _dotted(section, name)
                every = [_dotted(place, one) for place, names in KEYS.items() for one in sorted(names)]
                raise InputError(
                    f"{where}: deepmd-kit has no key {key}.{nearest(key, every)} Correct it, or take it out; "
                    f"a comment begins with {COMMENT}."
                )


def value_at(contents: Any, key: str) -> Any:
    """The value of a dotted key; all contents for an empty key; None if the key is missing."""
    for name in key.split(".") if key else ():
        contents = contents.get(name) if isinstance(contents, dict) else None
    return contents


def _dotted(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name
