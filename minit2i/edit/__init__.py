"""Start from a picture: vary it, inpaint a part of it, extend it, change it by words."""
