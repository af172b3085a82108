"""Pictures of every screen, wide and on a phone, light and dark, into screenshots/: `make screenshots`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Runs the browser tests of the screens with a folder for pictures; 0 if the screens are clean as well."""
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"GATEHOUSE_TEST_SCREENSHOTS": str(folder)}
    words = [sys.executable, "-m", "pytest", "-q", "tests/e2e/browser", *sys.argv[1:]]
    done = subprocess.run(words, cwd=ROOT, env=environment, check=False)
    print(f"The pictures are in {folder}.")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
