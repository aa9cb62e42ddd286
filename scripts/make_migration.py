"""`make migration M="what changed"`: compare the models with the migrations and write the next one."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Upgrade a scratch database to the newest migration, then let Alembic write the difference."""
    message = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] else "change"
    number = len(list((ROOT / "shop_app/migrations/versions").glob("*.py"))) + 1
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "SECRET_KEY": "migration-only-" * 3,
            "DATABASE_URL": f"sqlite:///{folder}/scratch.sqlite3",
            "RECSYS_DATABASE_URL": f"sqlite:///{folder}/recsys.sqlite3",
        }
        flask = [sys.executable, "-m", "flask", "--app", "shop_app.wsgi", "db"]
        subprocess.run([*flask, "upgrade"], env=env, cwd=ROOT, check=True)
        command = [*flask, "revision", "--autogenerate", "-m", message, "--rev-id", f"{number:04}"]
        return subprocess.run(command, env=env, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
