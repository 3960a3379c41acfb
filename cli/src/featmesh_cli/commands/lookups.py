"""What several commands ask for to show names in place of ids."""

from __future__ import annotations

import grpc

from featmesh_cli.access import Management
from featmesh_cli.commands.definitions import FLAG


def variation_names(access: Management, flag_key: str) -> dict[str, str]:
    """Returns names of a flag's variations by id; none when the flag is deleted by now."""
    try:
        resource = FLAG.get(access, FLAG.full_name(access, None, flag_key))
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return {}
        raise
    return {each.id: each.name or each.id for each in resource.flag.variations}
