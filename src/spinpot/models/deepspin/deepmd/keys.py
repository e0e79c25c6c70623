"""The keys that deepmd-kit itself has in an input.json, so that a misspelt one is found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinpot.core.errors import InputError
from spinpot.core.spelling import nearest

COMMENT = "_"
"""deepmd-kit passes over the keys that begin so."""

_PREFACTORS = " ".join(
    f"start_pref_{name} limit_pref_{name}" for name in ("e", "f", "fr", "fm", "v", "ae", "pf", "gf", "h")
)
_DATA = """
systems batch_size set_prefix auto_prob auto_prob_style sys_probs sys_weights rglob_patterns min_pair_dist
"""
_SECTIONS = {
    "": "model learning_rate loss optimizer training nvnmd validating",
    "model": """
        type type_map descriptor fitting_net spin type_embedding modifier compress info data_stat_nbatch
        data_stat_protect data_bias_nsample preset_out_bias pair_exclude_types atom_exclude_types
        finetune_head model_branch_alias use_srtab smin_alpha sw_rmin sw_rmax srtab_add_bias
        bridging_method bridging_r_inner bridging_r_outer
        """,
    "model.descriptor": """
        type sel rcut rcut_smth neuron axis_neuron n_axis_neuron activation_function precision resnet_dt
        type_one_side set_davg_zero env_protection exclude_types trainable seed
        """,
    "model.fitting_net": """
        type neuron n_neuron activation_function precision resnet_dt numb_fparam numb_aparam default_fparam
        dim_case_embd use_aparam_as_mask rcond atom_ener layer_name trainable seed
        """,
    "model.spin": "use_spin virtual_scale virtual_len spin_norm scheme allow_missing_label",
    "learning_rate": """
        type start_lr stop_lr stop_lr_ratio decay_steps decay_rate decay_type decay_phase_ratio smooth
        warmup_steps warmup_ratio warmup_start_factor scale_by_worker
        """,
    "loss": f"""
        type {_PREFACTORS} loss_func intensive_ener_virial relative_f enable_atom_ener_coeff use_huber
        huber_delta f_use_norm numb_generalized_coord use_default_pf
        """,
    "optimizer": """
        type adam_beta1 adam_beta2 weight_decay momentum muon_mode muon_momentum lr_adjust lr_adjust_coeff
        enable_gram flash_muon magma_muon kf_blocksize kf_start_pref_e kf_limit_pref_e kf_start_pref_f
        kf_limit_pref_f
        """,
    "training": """
        training_data validation_data numb_steps num_steps numb_step num_step stop_batch numb_epoch num_epoch
        numb_epochs num_epochs seed opt_type save_freq save_ckpt save_dir max_ckpt_keep ckpt_keep_ratio
        ema_ckpt_keep disp_freq disp_file disp_training disp_avg time_training gradient_max_norm acc_freq
        enable_ema ema_decay stat_file stat_file_mode change_bias_after_training profiling profiling_file
        enable_profiler tensorboard tensorboard_freq tensorboard_log_dir enable_compile enable_tf32
        mixed_precision neighbor_graph_method zero_stage
        """,
    "training.training_data": _DATA,
    "training.validation_data": f"{_DATA} numb_btch numb_batch",
}
KEYS = {section: frozenset(names.split()) for section, names in _SECTIONS.items()}
"""Of versions 2 and 3, for a spin model with se_e2_a; sections that are not here are not looked into."""


def check_keys(contents: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a key that deepmd-kit does not have, whose default would be taken silently."""
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
    """What stands under a dotted key, all of it under none; None where there is nothing."""
    for name in key.split(".") if key else ():
        contents = contents.get(name) if isinstance(contents, dict) else None
    return contents


def _dotted(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name
