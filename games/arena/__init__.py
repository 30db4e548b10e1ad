"""Arena: two teams of two loadouts on a walled grid, who move at once and see what lines of sight allow."""
