"""Row 6: several pages or channels are refused with what the file holds and the mend; a compression that needs a package names it."""

import numpy as np
import pytest
import tifffile

from ringsam.data import tiff
from ringsam.data.images import read_image
from ringsam.errors import InputError


def test_a_stack_is_refused_with_its_shape(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((5, 40, 60), np.uint8))
    said = r"a TIFF of 5 pages, shape 5 x 40 x 60; save the page you want"
    with pytest.raises(InputError, match=said):
        read_image(tmp_path / "stack.tif")


def test_many_channels_are_refused_with_their_number(tmp_path):
    path = tmp_path / "channels.tif"
    tifffile.imwrite(
        path, np.zeros((40, 60, 7), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(InputError, match="a TIFF of 7 channels; save the one to three channels"):
        read_image(path)


def test_a_dicom_file_is_called_by_its_name(tmp_path):
    (tmp_path / "scan.png").write_bytes(bytes(128) + b"DICM" + bytes(200))
    with pytest.raises(InputError, match="a DICOM file; save it as PNG or TIFF"):
        read_image(tmp_path / "scan.png")


def test_a_compression_that_needs_a_package_names_it(tmp_path, monkeypatch):
    path = tmp_path / "lzw.tif"
    tifffile.imwrite(path, np.zeros((40, 60, 3), np.uint16), photometric="rgb")

    def without_imagecodecs(self, *_, **__):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tiff.tifffile.TiffPage, "asarray", without_imagecodecs)
    with pytest.raises(InputError, match="`pip install imagecodecs`"):
        read_image(path)
