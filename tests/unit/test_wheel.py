"""The wheel has the five packages with their data, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {"schemas", "cases", "node", "producers", "consumers"}


def test_the_wheel_holds_packages_schemas_migrations_and_mappings(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    shipped = {name for name in names if not name.endswith((".py", ".typed"))}
    expected = {
        str(path.relative_to(ROOT))
        for pattern in (
            "schemas/events/*.avsc",
            "schemas/catalogue.json",
            "cases/regulations/*.toml",
            "node/postgres/migrations/*.sql",
            "node/entrypoints/web/templates/*",
            "node/entrypoints/web/static/*",
            "producers/mappings/*.toml",
        )
        for path in ROOT.glob(pattern)
    }
    assert len(expected) >= 34
    assert expected <= shipped
