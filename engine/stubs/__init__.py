"""Written by proto/generate.py from proto/cartridge/engine/v1/engine.proto; do not edit."""
