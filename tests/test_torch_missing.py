import subprocess
import sys

CODE = """
import sys

sys.modules["torch"] = None  # as if it were not installed
import pyembed
try:
    import pyembed.torch
except ImportError as error:
    print(error)
"""


def test_without_torch_its_part_says_what_it_needs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.strip() == "pyembed.torch needs PyTorch: pip install torch", done.stderr
