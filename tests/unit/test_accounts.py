"""What an account of the configuration is given beside its own keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mediagate.accounts import accounts_of
from mediagate.config import Config, Settings

DATA = Path("/srv/mediagate")


def config(**more: Any) -> Settings:
    params = {"model": "openai_compatible/wan", "api_base": "http://gpu-1/v1", **more}
    return Settings(
        DATA,
        None,
        None,
        None,
        Config.model_validate(
            {
                "model_list": [{"model_name": "wan", "litellm_params": params}],
                "files_settings": [{"custom_llm_provider": "gemini", "api_key": "k", **more}],
            }
        ),
    )


@pytest.mark.parametrize(("given", "spool"), [({}, "/srv/mediagate/spool"), ({"spool_dir": "/big"}, "/big")])
def test_what_waits_on_disk_has_a_place_in_the_data_directory(given: dict[str, str], spool: str) -> None:
    accounts = accounts_of(config(**given), {})
    found = {account.id: account.option("spool_dir") for account in (*accounts.files, *accounts.videos)}
    assert found["gemini"] == found["openai_compatible"] == spool


def test_where_outputs_may_lie_makes_no_other_account() -> None:
    named = {"model_name": "other", "litellm_params": {"model": "openai_compatible/b", "api_base": "http://gpu-1/v1"}}
    settings = config(media_hosts="10.0.0.6:9000")
    settings.config.model_list.append(type(settings.config.model_list[0]).model_validate(named))
    first, second = accounts_of(settings, {}).deployments
    assert first.model_account == second.model_account


def test_every_deployment_has_an_id_of_its_own_that_shows_no_host_and_no_key() -> None:
    def entry(name: str, host: str, **info: Any) -> dict[str, Any]:
        params = {"model": "openai_compatible/wan", "api_base": f"http://{host}/v1", "api_key": f"sk-{host}"}
        return {"model_name": name, "litellm_params": params, "model_info": info}

    entries = [entry("wan", "gpu-1"), entry("wan", "gpu-2"), entry("wan", "gpu-2"), entry("wan", "gpu-3", id="mine")]
    settings = Settings(DATA, None, None, None, Config.model_validate({"model_list": entries}))
    found = accounts_of(settings, {}).deployments
    assert (found[0].id, found[3].id) == ("wan:openai_compatible/wan", "mine")
    assert len({deployment.id for deployment in found}) == 4
    assert found[1].model_account == found[2].model_account != found[0].model_account
    assert not any("gpu" in deployment.id or "sk-" in deployment.id for deployment in found)
    # One more behind them, or one less, leaves the others as they are.
    fewer = Settings(DATA, None, None, None, Config.model_validate({"model_list": entries[:2]}))
    assert [one.id for one in accounts_of(fewer, {}).deployments] == [one.id for one in found[:2]]
