"""Arrays in a .safetensors file, read one at a time."""

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from keras_bert.errors import UserError


def open_arrays(path):
    """Returns ({name: shape}, name -> numpy array) of a .safetensors file.

    Raises:
        UserError: the file is damaged.
    """
    try:
        stream = safe_open(path, framework="numpy")
        shapes = {name: tuple(stream.get_slice(name).get_shape()) for name in stream.keys()}  # noqa: SIM118 not a dict
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}); fetch or write it again.") from error
    return shapes, stream.get_tensor


def write_arrays(path, arrays):
    """Writes {name: numpy array} to a .safetensors file.

    Raises:
        OSError: the disk is full, or no file can be made there.
    """
    path.touch()
    mode = path.stat().st_mode  # as the umask has it; save_file would leave a file that only its owner can read
    try:
        save_file(arrays, path, metadata={"format": "np"})
    except SafetensorError as error:
        raise OSError(str(error)) from error
    path.chmod(mode)
