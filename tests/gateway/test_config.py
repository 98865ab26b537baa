"""Settings: where they come from, and the sentence for each that is wrong."""

import os
import pwd
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import (
    GIB,
    MIB,
    SETTINGS,
    SYSTEM_DATA,
    Config,
    SettingsError,
    default_data,
    load_config,
    parse_size,
    place_of,
)
from wire.places import Place


def load(folder: Path, text: str = "", *, environ: dict[str, str] | None = None,
         **flags: str) -> Config:  # fmt: skip
    """Read settings from a file in `folder`, an environment and flags."""
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    given = {"HOMEPOST_DATA": str(folder), **(environ or {})}
    return load_config(flags, environ=given).config


def complaint(folder: Path, text: str = "", **more: str) -> str:
    """Return the sentence with which settings are refused."""
    with pytest.raises(SettingsError) as caught:
        load(folder, text, environ=more)
    return str(caught.value)


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    config = load(tmp_path)

    assert config.port == 4433
    assert config.listen == ("::", "0.0.0.0")  # noqa: S104
    assert config.seat_limit == GIB
    assert config.hosts == ()


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    text = 'port = 1111\nlog_level = "debug"\nlog_format = "json"\n'
    environ = {"HOMEPOST_PORT": "2222", "HOMEPOST_LOG_LEVEL": "error"}
    config = load(tmp_path, text, environ=environ, port="3333")

    assert (config.port, config.log_level, config.log_format) == (3333, "error", "json")


def test_each_value_knows_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("port = 1111\n", encoding="utf-8")
    environ = {"HOMEPOST_DATA": str(tmp_path)}
    origins = load_config({"log_level": "debug"}, environ=environ, file=file).origins

    assert origins["port"] == f"file {file}"
    assert origins["data"] == "environment variable HOMEPOST_DATA"
    assert origins["log_level"] == "flag --log-level"
    assert origins["connections"] == "default"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_of_the_table_is_one_of_the_config(setting: object) -> None:
    assert getattr(setting, "name", None) in Config.__dataclass_fields__


def test_the_config_has_no_setting_that_cannot_be_set() -> None:
    assert set(Config.__dataclass_fields__) == {setting.name for setting in SETTINGS}


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    assert "Did you mean seat_limit?" in complaint(tmp_path, "seat_limits = 5\n")


def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    assert "Did you mean HOMEPOST_PORT?" in complaint(tmp_path, HOMEPOST_PROT="1")


def test_an_unlike_name_gets_the_list_of_those_that_are_known(tmp_path: Path) -> None:
    assert "Known are data, listen" in complaint(tmp_path, "qqq = 5\n")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('port = "abc"', "port must be a whole number from 0 to 65535, not 'abc'"),
        ("port = 70000", "port must be a whole number"),
        ("port = true", "port must be a whole number"),
        ("port = 4433.5", "port must be a whole number"),
        ("listen = 5", "listen must be a list of IP addresses"),
        ("listen = []", "listen must be a list of IP addresses"),
        ('listen = ["somewhere"]', "listen must be a list of IP addresses"),
        ('hosts = ["no host"]', "hosts must be a list of at most 16 names"),
        ("hosts = [1]", "hosts must be a list"),
        ('seat_limit = "much"', "seat_limit must be a size such as 500 MiB"),
        ("seat_limit = 1", "seat_limit must be a size from 1 MiB"),
        ("seat_limit = -1", "seat_limit must be a size"),
        ('log_level = "loud"', "log_level must be one of error, warning, info, debug"),
        ("log_format = 1", "log_format must be one of plain, json"),
        ('data = ""', "data must be the path of a folder"),
        ("data = 1", "data must be the path of a folder"),
        ("connections = 2", "connections must be a whole number from 8"),
        ("connections = 20", "connections_per_address (128) is more than connections (20)"),
        ("refusals_per_minute = 1", "refusals_per_minute must be a whole number from 10"),
        ("plain_port = 70000", "plain_port must be a whole number"),
        ("plain_port = 4433", "plain_port and port are both 4433"),
        ('trusted_proxies = ["proxy.example"]', "trusted_proxies must be a list of IP addresses"),
        ("port = ", "is not TOML"),
        ("port = 1\nport = 2", "is not TOML"),
    ],
)
def test_a_wrong_value_gets_a_sentence(tmp_path: Path, line: str, wanted: str) -> None:
    # data from the environment would hide the file's
    path = tmp_path / "own.toml"
    path.write_text(line, encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        load_config(environ={"HOME": str(tmp_path)}, file=path)

    assert wanted in str(caught.value)


def test_a_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read: No such file"):
        load_config(environ={"HOMEPOST_CONFIG": str(tmp_path / "none.toml")})


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.toml"
    path.write_bytes(b"\x89PNG\xff")

    with pytest.raises(SettingsError, match="is not TOML"):
        load_config(environ={}, file=path)


def test_a_file_that_is_nested_to_death_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.toml"
    path.write_text("a = " + "[" * 20_000 + "]" * 20_000, encoding="utf-8")

    with pytest.raises(SettingsError):
        load_config(environ={}, file=path)


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(SettingsError, match="too long"):
        load_config(environ={}, file=Path("/dev/zero"))


def test_lists_are_written_with_commas_outside_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, listen="127.0.0.1, ::1", hosts="box.example,192.168.1.2:5000")

    assert config.listen == ("127.0.0.1", "::1")
    assert config.hosts == ("box.example", "192.168.1.2:5000")


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("box.example", Place("box.example", 5000)),
        ("box.example:4433", Place("box.example", 4433)),
        ("192.168.1.2", Place("192.168.1.2", 5000)),
        ("2001:db8::7", Place("2001:db8::7", 5000)),
        ("[2001:db8::7]:4433", Place("2001:db8::7", 4433)),
    ],
)
def test_a_host_without_port_is_at_the_port_of_the_gateway(host: str, place: Place) -> None:
    assert place_of(host, port=5000) == place


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1024", 1024), ("500 MiB", 500 * MIB), ("1.5gib", GIB * 3 // 2), ("2 kB", 2000)],
)
def test_a_size_is_written_as_people_write_it(text: str, size: int) -> None:
    assert parse_size(text) == size


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.lists(st.text())))
def test_whatever_is_given_as_a_size_is_a_size_or_refused(value: object) -> None:
    try:
        size = parse_size(value)
    except ValueError:
        return
    assert size >= 0


@given(st.text(alphabet="portlisenhda=[]{}\"'.,0123456789 \n#-_ü\x00", max_size=60))
def test_whatever_a_file_holds_is_settings_or_a_sentence(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "gateway.toml")
        path.write_text(text, encoding="utf-8")
        try:
            loaded = load_config(environ={"HOME": name}, file=path)
        except SettingsError:
            return
        assert loaded.config.connections == 512


@given(
    st.sampled_from([setting.name for setting in SETTINGS]),
    st.one_of(st.text(max_size=20), st.integers(), st.booleans(), st.lists(st.text(max_size=9))),
)
def test_whatever_a_setting_is_given_is_taken_or_refused(name: str, value: object) -> None:
    [setting] = (one for one in SETTINGS if one.name == name)
    with suppress(ValueError):
        assert setting.read(value) is not None


def test_the_home_of_nobody_is_no_folder(tmp_path: Path) -> None:
    assert "data must be the path of a folder" in complaint(
        tmp_path, HOMEPOST_DATA="~nobody-here/x"
    )


def test_systemd_says_where_the_data_lies(tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": f"{tmp_path}:/other", "XDG_DATA_HOME": "/x", "HOME": "/h"}

    assert default_data(environ) == tmp_path


def test_the_folder_for_shared_data_is_used_if_it_is_absolute() -> None:
    assert default_data({"XDG_DATA_HOME": "/x", "HOME": "/h"}) == Path("/x/homepost")
    assert default_data({"XDG_DATA_HOME": "x", "HOME": "/h"}) != Path("x/homepost")


def test_a_user_keeps_the_data_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert default_data({"HOME": "/home/ada"}) == Path("/home/ada/.local/share/homepost")


def test_root_keeps_the_data_where_services_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert default_data({"HOME": "/root"}) == SYSTEM_DATA


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}])
def test_an_unset_or_empty_home_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(os, "geteuid", lambda: nobody.pw_uid)

    assert default_data(environ) == Path(nobody.pw_dir, ".local/share/homepost")


def test_whoever_has_no_home_is_told_to_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)

    with pytest.raises(SettingsError, match="--data FOLDER"):
        default_data({})
