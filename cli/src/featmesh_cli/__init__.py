"""The command line: `featmesh`. Needs the extra: pip install 'featmesh[cli]'."""
