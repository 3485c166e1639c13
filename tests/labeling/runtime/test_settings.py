"""Which model is asked, where and how: what is refused before anything is sent, and what reaches the server."""

import asyncio
from pathlib import Path

import pytest

from labeling.runtime.engine import EngineError
from labeling.runtime.settings import OPENAI_URL, ConfigError, ModelSettings, check_address, connect, load_settings
from tests.stub_server import running_stub


@pytest.fixture(autouse=True)
def without_openai(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


class Settings(ModelSettings):
    folder: Path
    names: tuple[str, ...] = ()


class TestModelSettings:
    def test_a_model_is_used_only_when_it_or_its_server_is_named(self, monkeypatch):
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")  # says where, not that
        assert not ModelSettings().uses_model
        assert ModelSettings(model="m").uses_model
        assert ModelSettings(base_url="http://127.0.0.1:1/v1").uses_model

    def test_the_address_is_the_flags_then_the_environments_then_openais(self, monkeypatch):
        assert ModelSettings().url == OPENAI_URL
        monkeypatch.setenv("OPENAI_BASE_URL", "http://env/v1")
        assert ModelSettings().url == "http://env/v1"
        assert ModelSettings(base_url="http://flag/v1").url == "http://flag/v1"

    def test_the_policy_has_what_limits_the_asking(self):
        policy = ModelSettings(concurrency=3, max_attempts=2, requests_per_minute=7, tokens_per_minute=9).policy
        assert (policy.concurrency, policy.max_attempts) == (3, 2)
        assert (policy.requests_per_minute, policy.tokens_per_minute) == (7, 9)

    @pytest.mark.parametrize(
        ("prices", "complaint"),
        [
            ({"price_in": 1.0}, "price_in and price_out must be given together"),
            ({"price_out": 1.0}, "price_in and price_out must be given together"),
            ({"price_cached": 1.0}, "price_cached needs price_in"),
        ],
    )
    def test_half_a_price_list_is_refused(self, prices, complaint):
        with pytest.raises(ValueError, match=complaint):
            ModelSettings(**prices)
        ModelSettings(price_in=1.0, price_out=2.0, price_cached=0.5)


class TestLoading:
    def test_flags_that_were_given_win_over_the_file_and_the_file_over_the_defaults(self, tmp_path):
        (tmp_path / "c.toml").write_text('folder = "from/file"\nmodel = "file"\nnames = ["a", "b"]\nmax_tokens = 99\n')
        found = load_settings(Settings, tmp_path / "c.toml", {"model": "flag", "max_tokens": None, "concurrency": 2})
        assert found == Settings(folder=Path("from/file"), model="flag", names=("a", "b"), max_tokens=99, concurrency=2)

    def test_a_flag_that_is_off_or_0_is_given_all_the_same(self, tmp_path):
        (tmp_path / "c.toml").write_text('folder = "f"\nallow_remote = true\ntemperature = 0.5\n')
        found = load_settings(Settings, tmp_path / "c.toml", {"allow_remote": False, "temperature": 0.0})
        assert (found.allow_remote, found.temperature) == (False, 0.0)

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("", r"^folder: Field required$"),
            ('folder = "f"\nmodle = "m"', r"^modle = 'm': Extra inputs are not permitted"),
            ('folder = "f"\nconcurrency = 0', r"^concurrency = 0: .* greater than or equal to 1"),
            ('folder = "f"\nconcurrency = 513\nmax_tokens = 1', r"^max_tokens = 1: .*; concurrency = 513: "),
            ('folder = "f"\ntemperature = nan', r"^temperature = nan: "),
            ('folder = "f"\nprice_in = 1', r"price_in and price_out must be given together"),
            ("folder =", r"c\.toml: "),
            (b"\xff", r"c\.toml: "),
        ],
    )
    def test_what_is_wrong_is_named_with_its_value(self, tmp_path, text, complaint):
        (tmp_path / "c.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigError, match=complaint):
            load_settings(Settings, tmp_path / "c.toml", {})

    def test_a_file_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(ConfigError, match=r"none\.toml"):
            load_settings(Settings, tmp_path / "none.toml", {"folder": tmp_path})


class TestAddress:
    def test_this_machine_needs_no_permission(self):
        for url in ("http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:1/v1"):
            check_address(ModelSettings(base_url=url))

    def test_another_machine_does_and_so_does_one_from_the_environment(self, monkeypatch):
        for settings in (ModelSettings(model="m"), ModelSettings(base_url="http://10.0.0.1/v1")):
            with pytest.raises(ConfigError, match=r"is not this machine.*--allow-remote"):
                check_address(settings)
            check_address(settings.model_copy(update={"allow_remote": True}))
        monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
        with pytest.raises(ConfigError, match=r"elsewhere\.example"):
            check_address(ModelSettings(model="m"))

    def test_what_is_no_address_is_refused_even_when_others_are_allowed(self):
        with pytest.raises(ConfigError, match="nonsense"):
            check_address(ModelSettings(base_url="nonsense", allow_remote=True))


class TestConnecting:
    @staticmethod
    def engine(**settings):
        async def go():
            async with connect(ModelSettings(**settings)) as engine:
                return engine.model, dict(engine.settings)

        return asyncio.run(go())

    def test_the_engine_has_the_settings(self):
        model, settings = self.engine(
            model="m",
            base_url="http://127.0.0.1:9/v1",
            temperature=0.5,
            max_tokens=77,
            structured_output="json_object",
        )
        assert model == "m"
        assert settings == {"temperature": 0.5, "seed": 0, "max_tokens": 77, "structured": "json_object"}

    def test_server_sampling_leaves_temperature_and_seed_to_the_server(self):
        _, settings = self.engine(model="m", base_url="http://127.0.0.1:9/v1", temperature=0.5, server_sampling=True)
        assert (settings["temperature"], settings["seed"]) == (None, None)

    def test_the_only_model_that_is_served_need_not_be_named(self):
        with running_stub(models=("only",)) as stub:
            assert self.engine(base_url=stub.url)[0] == "only"
            assert self.engine(base_url=stub.url, model="other")[0] == "other"
            assert stub.stats.model_requests == 1

    @pytest.mark.parametrize(("models", "said"), [(("a", "b"), "serves a, b; name one"), ((), "serves no model")])
    def test_of_several_or_none_one_must_be_named(self, models, said):
        with running_stub(models=models) as stub, pytest.raises(ConfigError, match=said):
            self.engine(base_url=stub.url)

    def test_a_server_that_is_not_there_is_an_engine_error(self):
        with pytest.raises(EngineError, match="nothing listens"):
            self.engine(base_url="http://127.0.0.1:9/v1")
