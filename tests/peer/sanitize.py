"""The plugin for LAMMPS under the address and undefined-behaviour sanitizers: `make sanitize-lammps`.

Minutes of compiling, and no part of `make test-interop`. LAMMPS itself is not compiled so.
"""

import subprocess
from pathlib import Path

import pytest

from spinpot.data.lammps_files import write_data
from spinpot.kernels import compiler
from spinpot.lammps.build import PLUGIN, compile_plugin
from spinpot.lammps.installation import find_installation
from support.lammps import ELEMENTS, MODELS, case, disturbed, lammps_of

FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


@pytest.fixture(scope="module")
def run_sanitized(deepmd, tmp_path_factory):
    """As run_lammps. Memory that LAMMPS and MPI keep to the end is no defect of ours."""
    folder = tmp_path_factory.mktemp("sanitized")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "FLAGS", (*compiler.FLAGS, *FLAGS))
        patch.setattr(compiler, "LINK", (*(flag for flag in compiler.LINK if flag != "-Wl,-z,defs"), *FLAGS))
        kernels = {"plain": compiler.compile_library(folder, "plain").name}
    compile_plugin(find_installation(Path(deepmd).parents[1]), folder / PLUGIN, kernels, FLAGS)
    find = ["c++", "-print-file-name=libasan.so"]
    library = subprocess.run(find, capture_output=True, text=True, check=True)
    return lammps_of(
        deepmd,
        folder / PLUGIN,
        LD_PRELOAD=library.stdout.strip(),
        ASAN_OPTIONS="detect_leaks=0:detect_odr_violation=0",
        UBSAN_OPTIONS="print_stacktrace=1",
    )


MOVES = "fix m all nve\ntimestep 0.005\nneigh_modify every 1 delay 0\nrun 20 post no\n"


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_every_model_in_motion(ranks, run_sanitized, models, tmp_path):
    """With atoms that move from rank to rank, in cells smaller than the cutoff, too."""
    texts = []
    for n in (2, 32):
        write_data(tmp_path / f"{n}.data", disturbed(n), ELEMENTS)
        for name in MODELS:
            file = models[0] / f"{name}.safetensors"
            texts.append(case(f"{n}.data", f"{file} Ni O", f"{name}.dump") + MOVES)
    run_sanitized("\nclear\nplugin load ${plugin}\n".join(texts), tmp_path, ranks)


@pytest.mark.parametrize("ranks", [1, 2])
def test_several_models_and_other_styles(ranks, run_sanitized, models, tmp_path):
    write_data(tmp_path / "x.data", disturbed(32), ELEMENTS)
    files = " ".join(str(models[0] / f"{name}.safetensors") for name in ("deepspin", "native"))
    several = case("x.data", "Ni O", "x.dump", style=f"ml/spinpot {files} out_freq 2")
    mixed = case(
        "x.data",
        f"ml/spinpot {models[0] / 'native.safetensors'} Ni NULL",
        "x.dump",
        style="hybrid/overlay ml/spinpot lj/cut 3.0\npair_coeff * * lj/cut 0.0 1.0",
    )
    run_sanitized(f"{several}{MOVES}\nclear\nplugin load ${{plugin}}\n{mixed}{MOVES}", tmp_path, ranks)


@pytest.mark.parametrize("ranks", [1, 2])
def test_dynamics_of_spins(ranks, run_sanitized, models, tmp_path):
    """fix spinpot, its restart, and its computes, on atoms that move from rank to rank."""
    write_data(tmp_path / "x.data", disturbed(32), ELEMENTS)
    begin = case("x.data", f"{models[0] / 'deepspin.safetensors'} Ni O", "x.dump")
    begin += "timestep 1e-5\nneigh_modify every 1 delay 0\nvelocity all create 1e6 7\n"
    seen = "".join(
        f"compute {name} all spinpot/{name}\n" for name in ("temperature", "energy", "magnetization")
    )
    seen += "fix seen all ave/time 2 1 2 c_temperature c_energy c_magnetization\n"
    bath = "damping 0.1 temperature 50 seed 1 field 0 0 10"
    moving = f"fix dynamics all spinpot friction 2 {bath}\n{seen}restart 5 x.restart\nrun 20 post no\n"
    frozen = f"fix dynamics all spinpot lattice frozen {bath}\nfix m all nve\n{seen}run 20 post no\n"
    run_sanitized(f"{begin}{moving}\nclear\nplugin load ${{plugin}}\n{begin}{frozen}", tmp_path, ranks)


def test_files_that_are_refused(run_sanitized, models, tmp_path):
    write_data(tmp_path / "x.data", disturbed(2), ELEMENTS)
    contents = (models[0] / "native_exchange.safetensors").read_bytes()
    for size in (0, 7, 100, len(contents) // 2, len(contents) - 1):
        (tmp_path / "cut.safetensors").write_bytes(contents[:size])
        said = run_sanitized(case("x.data", "cut.safetensors Ni O", "x.dump"), tmp_path, fails=True)
        assert "ERROR: pair_style ml/spinpot: cut.safetensors: " in said
