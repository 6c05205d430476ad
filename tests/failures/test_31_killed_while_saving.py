"""Row 31: `kill -9` in the middle of a checkpoint loses that one alone: resume takes the newest valid one, and clears away what was half-written."""

import pytest
from processes import adapted, same, train_flags

pytestmark = pytest.mark.slow

# Ends the process, without a chance to tidy up, in the second checkpoint
DIES = """
import os, signal, sys
from ringsam.training import checkpoint
moments = {"half": (checkpoint.torch, "save"), "unmoved": (checkpoint.os, "replace")}
module, name = moments[sys.argv[1]]
call = getattr(module, name)
def die(first, second):
    path = str(getattr(second, "name", second))
    if "epoch=0001.ckpt" in path and not ".sha256" in path:
        if sys.argv[1] == "half":
            second.write(b"half of it")
            second.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    call(first, second)
setattr(module, name, die)
from ringsam.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("moment", ["half", "unmoved"])
def test_a_run_killed_while_it_saves_resumes_to_the_same_weights(
    disc_data, sam_folder, tmp_path, started, ringsam, moment
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    folder = broken / "checkpoints"
    steps = {"num_epochs": 3, "optim__batch_size": 2}
    assert ringsam("train", disc_data, *train_flags(sam_folder, whole, **steps)).returncode == 0
    flags = train_flags(sam_folder, broken, **steps)
    process = started(moment, "train", disc_data, *flags, code=DIES)
    assert process.wait(timeout=240) == -9
    left = {path.name for path in folder.iterdir()}
    assert ".epoch=0001.ckpt.unfinished" in left
    assert "epoch=0000.ckpt" in left and "epoch=0001.ckpt" not in left
    # Of a checkpoint within an epoch, whose name no later one writes over
    (folder / ".epoch=0001-step=00000005.ckpt.unfinished").write_bytes(b"half of it")
    resumed = ringsam("resume", broken)
    assert resumed.returncode == 0 and "from epoch=0000.ckpt" in resumed.stdout
    names = [f"epoch=000{i}.ckpt{end}" for i in (1, 2) for end in ("", ".sha256")]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert same(adapted(whole), adapted(broken))
