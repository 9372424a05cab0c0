"""Where images come from: each source lists its images and reads them."""
