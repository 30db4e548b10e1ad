"""Pictures of positions: a plan of drawing commands, and adapters that make text, SVG and PNG of it."""
