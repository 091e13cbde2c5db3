"""All runs of a configuration: the same frames however many workers there are and whatever kills them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from forcefree.data.h5md import read_store, store_attributes, trajectory_names, write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.campaign import make_reference
from forcefree.reference.claim import claimed, essence, same_data
from forcefree.reference.config import ReferenceConfig

MakeConfig = Callable[..., ReferenceConfig]
Same = Callable[[Trajectory, Trajectory], bool]
SHORT: dict[str, Any] = {"timestep": 1.0, "recording": {"duration": 260.0, "every": 1.0}, "equilibration": {"duration": 10.0}}


def test_workers_make_what_runs_alone_make_and_a_second_call_makes_nothing(
    make_config: MakeConfig, recorded: Callable[..., Trajectory], same: Same
) -> None:
    config = make_config(**SHORT, temperatures=[300, 500], runs_per_temperature=2, minimize=False, workers=2)
    told: list[tuple[int, int]] = []
    store = make_reference(config, lambda done, total: told.append((done, total)))
    assert store == config.output
    assert trajectory_names(store) == ["run_0000", "run_0001", "run_0002", "run_0003"]
    for index, trajectory in enumerate(read_store(store)):
        assert same(trajectory, recorded(config, index))
    assert told[-1] == (4 * 261, 4 * 261)
    assert sorted(told) == told
    assert store_attributes(store)["config"]["seed"] == 3
    assert not store.with_name(store.name + ".parts").exists()
    written = store.stat().st_mtime_ns
    assert make_reference(config.model_copy(update={"workers": 1})) == store
    (store.parent / "same.yaml").write_text(json.dumps(config.model_dump(mode="json")))  # JSON is YAML
    assert make_reference(str(store.parent / "same.yaml")) == make_reference(config.model_dump()) == store
    assert store.stat().st_mtime_ns == written
    with pytest.raises(ForcefreeError, match="exists already; choose another output or remove it first"):
        make_reference(config.model_copy(update={"seed": 4}))


def test_every_structure_gets_every_temperature_and_the_store_says_which(
    make_config: MakeConfig, recorded: Callable[..., Trajectory]
) -> None:
    starts = [{"name": "methane"}, {"name": "water"}]
    config = make_config(**SHORT, start=starts, temperatures=[200, 400], runs_per_temperature=2, minimize=False)
    found = list(read_store(make_reference(config)))
    assert [t.provenance["molecule"] for t in found] == 2 * ["methane", "methane", "water", "water"]
    assert [t.provenance["temperature"] for t in found] == [200.0] * 4 + [400.0] * 4
    assert [len(t.numbers) for t in found] == 2 * [5, 5, 3, 3]
    colder = make_config(**SHORT, start=starts, temperatures=[200], runs_per_temperature=2, minimize=False)
    np.testing.assert_array_equal(recorded(colder, 3).positions, found[3].positions)
    assert len({t.positions.tobytes() for t in found}) == 8


def test_a_store_of_before_an_option_existed_is_still_recognised(make_config: MakeConfig) -> None:
    config = make_config()
    stored = essence(config)
    older = {
        **{key: value for key, value in stored.items() if key != "rotation"},
        "start": stored["start"][0],
        "workers": 7,
        "output": "y.h5",
    }
    assert same_data(config, older)
    assert not same_data(config, {**older, "rotation": False})
    assert same_data(config, {**older, "recording": {**older["recording"], "ensemble": "nve", "thermostat_time": 50.0}})
    assert not same_data(config, {**older, "start": {"name": "water"}})
    assert not same_data(config, {"kind": "import"})
    assert not same_data(config, None)


def test_a_whole_process_group_killed_and_started_again_ends_with_the_same_frames(
    make_config: MakeConfig, recorded: Callable[..., Trajectory], same: Same, tmp_path: Path
) -> None:
    config = make_config(
        calculator={"name": "springs:Springs", "options": {"memory": 0.01}},
        timestep=1.0,
        recording={"duration": 300.0, "every": 1.0},
        runs_per_temperature=4,
        minimize=False,
        workers=2,
    )
    file = tmp_path / "reference.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    command = [sys.executable, "-c", "from forcefree.cli.main import run; run()", "reference", str(file)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    parts = config.output.with_name(config.output.name + ".parts")
    process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60.0
    while not list(parts.glob("*.frames")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not config.output.exists()
    assert list(parts.glob("*.frames"))
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "1204" in finished.stdout
    for index, trajectory in enumerate(read_store(config.output)):
        assert same(trajectory, recorded(config, index))


def test_a_worker_that_dies_ends_in_a_sentence(make_config: MakeConfig) -> None:
    config = make_config(**SHORT, calculator={"name": "springs:Springs", "options": {"die_after": 40}})
    with pytest.raises(ForcefreeError, match=r"a worker process died .*; run the same command to continue"):
        make_reference(config)
    assert not config.output.exists()


def test_what_a_calculator_says_reaches_the_user_through_the_worker(make_config: MakeConfig) -> None:
    calculator = {"name": "springs:Springs", "options": {"raise_after": 20}}
    config = make_config(**SHORT, calculator=calculator, runs_per_temperature=9, minimize=False)
    with pytest.raises(ForcefreeError, match=r"run_0000 failed at 300 K .*self-consistency was not reached"):
        make_reference(config)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"start": {"name": "ethnol"}}, "'ethnol' is neither a file nor a known start"),
        ({"start": [{"name": "methane"}, {"name": "ethnol"}]}, "'ethnol' is neither a file nor a known start"),
        ({"start": {"name": "Si"}}, "a system of 1 atom has no degree of freedom left"),
        ({"output": "water.txt"}, r"output water.txt would be an H5MD file but is not named as one; give it a name such as water.h5"),
        ({"output": "/usr"}, "output /usr is a folder; give the name of a file such as /usr/reference.h5"),
        ({"calculator": {"name": "gfn7"}}, "calculator 'gfn7' is unknown"),
    ],
)
def test_what_cannot_work_is_refused_before_any_worker_starts(make_config: MakeConfig, changes: dict[str, Any], sentence: str) -> None:
    config = make_config(**changes)
    with pytest.raises(ForcefreeError, match=sentence):
        make_reference(config)
    assert not config.output.with_name(config.output.name + ".parts").exists()


def test_unfinished_runs_belong_to_one_configuration_and_one_process(make_config: MakeConfig, tmp_path: Path) -> None:
    parts = tmp_path / "reference.h5.parts"
    config = make_config()
    with claimed(parts, config), pytest.raises(ForcefreeError, match="another process is at work in"), claimed(parts, config):
        pass
    with claimed(parts, make_config(workers=8, output=tmp_path / "elsewhere" / "reference.h5")):
        pass
    with pytest.raises(ForcefreeError, match="holds runs of another configuration"), claimed(parts, make_config(seed=9)):
        pass


def test_what_a_kill_after_the_last_run_left_behind_is_cleared_away(make_config: MakeConfig) -> None:
    config = make_config()
    atom = Trajectory("run_0000", np.array([18]), np.array([40.0]), np.zeros(1), np.zeros((1, 1, 3)))
    write_store(config.output, [atom], {"kind": "reference", "config": essence(config)})
    parts = config.output.with_name("reference.h5.parts")
    parts.mkdir()
    (parts / "run_0000.h5").write_text("left behind")
    assert make_reference(config) == config.output
    assert not parts.exists()
    with pytest.raises(ForcefreeError, match="exists already"):
        make_reference(make_config(temperatures=[301]))
