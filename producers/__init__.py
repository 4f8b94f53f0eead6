"""Where frames come from: files, synthetic scenes, cameras. Each source is one file."""
