"""Runs the tests of this folder with Microsoft's clients; the last line is `N passed, N failed`.

    ARM_SIMULATOR=path/to/arm-simulator python run.py [NAME…]
    ARM_SIMULATOR=path/to/arm-simulator python run.py --az

A name is that of a module, class or test. `--az` runs azure-cli, which has an environment of its own. ARM_CLIENTS_DIR
may name a folder with a driver of Microsoft's generated AML client (`drive_armml.py`), which is run unmodified after
the tests. With ARM_SPECS_DIR, and ARM_CONTRACT as the path of arm-contract, all that the clients and the simulator said
to each other is held to Microsoft's specifications afterwards, and a contradiction counts as a failure.
"""

import faulthandler
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from simulator import Simulator  # noqa: E402  (after the path is set)

DRIVER_OPERATIONS = 20


class Result(unittest.TextTestResult):
    """Also counts what passed."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def run_tests(names, pattern):
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(names) if names else loader.discover(str(HERE), pattern=pattern)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    return result.passed, len(result.failures) + len(result.errors)


def run_driver(folder):
    """The driver as it is, against a simulator that takes its unsigned tokens. It gives the workspace's identity no
    right to approve on the targets of its rules, so the simulator has to be of the kind that leaves those waiting."""
    try:
        simulator = Simulator(unsignedTokens=True, approverMissing="Pending", pageSize=100)
    except RuntimeError as error:
        print(error)
        return 0, DRIVER_OPERATIONS
    try:
        command = [sys.executable, str(folder / "drive_armml.py"), "--base", simulator.base]
        command += ["--ca", simulator.endpoints["ca"]]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300).stdout
    finally:
        simulator.stop()
    print(output, end="")
    counted = re.search(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
    passed = int(counted[1]) if counted else 0
    # An operation that was not even tried has failed too.
    return passed, DRIVER_OPERATIONS - passed if passed < DRIVER_OPERATIONS else int(counted[2])


def check_exchanges(folder):
    """Holds what the simulators kept when they were stopped to the specifications."""
    archives = sorted(Path(folder).glob("*.har"))
    if not archives:
        print("no exchanges were kept")
        return 0, 1
    command = [os.environ["ARM_CONTRACT"], "check", "--specs", os.environ["ARM_SPECS_DIR"], *map(str, archives)]
    contradicted = subprocess.run(command, timeout=600).returncode != 0
    return int(not contradicted), int(contradicted)


def main():
    # A client that waits for ever shall say where.
    faulthandler.dump_traceback_later(1200, exit=True)
    start = time.monotonic()
    az = sys.argv[1:] == ["--az"]
    names = [] if az else sys.argv[1:]
    held = "ARM_SPECS_DIR" in os.environ and Path(os.environ.get("ARM_CONTRACT", "")).is_file()
    exchanges = tempfile.TemporaryDirectory(prefix="arm-exchanges-")
    if held:
        os.environ["ARM_EXCHANGES_DIR"] = exchanges.name
    passed, failed = run_tests(names, "az_*.py" if az else "test_*.py")
    folder = os.environ.get("ARM_CLIENTS_DIR")
    if not az and not names:
        if folder:
            more = run_driver(Path(folder))
            passed, failed = passed + more[0], failed + more[1]
        else:
            print("skipped: ARM_CLIENTS_DIR is not set")
    if held:
        more = check_exchanges(exchanges.name)
        passed, failed = passed + more[0], failed + more[1]
    else:
        print("not held to the specifications: ARM_SPECS_DIR or ARM_CONTRACT is not set")
    exchanges.cleanup()
    print(f"{time.monotonic() - start:.1f} seconds")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
