"""Static images on disk, as pictures, archives or IDX files in; planes of pixels out."""
