"""What of an environment is a secret, and that no spelling of it is left in what people read."""

from __future__ import annotations

import json
import string
import urllib.parse

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import secrets
from ansible_collections.graceful.deploy.plugins.module_utils._app.hidden import hider
from ansible_collections.graceful.deploy.plugins.module_utils._app.secrets import Hider, secrets_in
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.env_file import render
from hypothesis import given
from hypothesis import strategies as st

DRAWN = "Zk3vQ9xT7mLw2Rb8"
PASSWORD = "pa55w0rd-of-the-shop"
URL = f"postgresql+asyncpg://shop:{PASSWORD}@db.internal:5432/shop_production?ssl=require"


def hide(text: str, credentials: dict[str, str] | None = None, **environment: object) -> str:
    return Hider(secrets_in(render(environment), credentials or {}))(text)


@pytest.mark.parametrize(
    "value",
    [
        *("true", "production", "development", "eu-central-1", "Europe/Berlin", "de_DE.UTF-8", "application/json"),
        *("512M", "30min", "604800", "3.1415926535", "-1", "2026-11-28T16:00:00Z", "10.20.30.40", "0.0.0.0:8000"),
        *("shop.example.com", "https://shop.example.com/api/v1", "db-7f3a9c41.eu-central-1.rds.amazonaws.com"),
        *("redis://cache:6379/0", "ann@example.com", "svc-1a2b3c4d@project.iam.gserviceaccount.com"),
        *("/srv/shop/shared/media", "/run/credentials/shop@blue.service/x9y8z7w6v5", "./certs/a1b2c3d4.pem"),
        *("gpt-4o-mini", "claude-3-5-sonnet-20241022", "python3.11", "x86_64", "release-2024", "CamelCaseWord"),
        *("main:app", "a, b and c", '["shop.example.com", "www.example.com"]', "sentence with words", "INFO", ""),
    ],
)
def test_what_is_no_secret_stays_readable(value):
    text = f"the app said: {value!r} is wrong"
    assert hide(text, SETTING=value) == text


@pytest.mark.parametrize("name", ["TTL_OF_TOKEN", "USE_TOKEN", "ACCESS_TOKEN_EXPIRE_MINUTES", "JWT_PRIVATE_KEY"])
@pytest.mark.parametrize("value", ["true", "11520", "/run/credentials/shop@blue.service/key", "short"])
def test_nor_is_what_is_only_named_like_one(name, value):
    text = f"{name} is {value}"
    assert hide(text, **{name: value}) == text


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DATABASE_URL", URL, PASSWORD),
        ("DATABASE_URL", "postgresql://shop:a/b c@d@db/shop_production", "a/b c@d"),
        ("DATABASE_URL", "postgresql://shop:p%40ssw0rd%2F1@db/x", "p@ssw0rd/1"),
        ("BROKERS", f"amqp://a:{PASSWORD}@one/,amqp://b:{DRAWN}@two/", DRAWN),
        ("SENTRY_DSN", "https://3f2a9c81d04e4b6e@o1.ingest.sentry.io/42", "3f2a9c81d04e4b6e"),
        ("HOOK", "https://hooks.slack.com/services/T0001/B0002/x7Gh29KdLw0qPzR4", "x7Gh29KdLw0qPzR4"),
        ("FEED", f"https://api.example.com/v1?key={DRAWN}&page=2", DRAWN),
        ("DSN", f"host=db user=shop password={PASSWORD} dbname=shop", PASSWORD),
        ("DSN", "host=db password=sunshine dbname=shop", "sunshine"),
        ("CONFIG", json.dumps({"user": "shop", "password": "sunshine"}), "sunshine"),
        ("SECRET_KEY", "correct horse battery staple", "correct horse battery staple"),
        ("PGPASSWORD", "sunshine", "sunshine"),
        ("DB_PASS_2", "84629174", "84629174"),
        ("DB_PASSWORD", 'said "so"', 'said "so"'),
        ("SECRET_KEY_BASE", "Grüße-an-alle", "Grüße-an-alle"),
        ("LICENCE", "550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("ANYTHING", "p4ssw0rd", "p4ssw0rd"),
        ("ANYTHING", "x!9$k@q#", "x!9$k@q#"),
        ("ANYTHING", "sk-proj-" + DRAWN, "sk-proj-" + DRAWN),
        ("ANYTHING", 'quo"ted$9xT7mLw2', 'quo"ted$9xT7mLw2'),
    ],
)
def test_a_secret_is_told_by_name_or_looks(name, value, secret):
    assert secret not in hide(f"refused: {secret}!", **{name: value})
    assert secret not in hide(f"no such thing: {value}", **{name: value})


def test_a_word_is_hidden_where_it_stands_alone():
    said = hide("sunshines at /srv/sunshine_2/x: b'sunshine', \\nsunshine, sunshine", PASSWORD="sunshine")
    assert said == "sunshines at /srv/sunshine_2/x: b'***', \\n***, ***"


def test_what_others_are_called_too_is_no_secret():
    """As in many an example: user, database and password are one word."""
    said = "could not translate host name postgres"
    assert hide(said, POSTGRES_USER="postgres", POSTGRES_PASSWORD="postgres") == said
    assert hide(said, DATABASE_URL="postgresql://postgres:postgres@db/app") == said
    assert "postgres:postgres" not in hide("to postgresql://postgres:postgres@db/app")


def test_credentials_are_secrets_whatever_they_are_called():
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\nggSjAgEAAoIBAQC7\n-----END"
    account = json.dumps({"type": "service_account", "private_key_id": DRAWN}, indent=1)
    given = {"note": "sunshine\n", "pem": key, "account": account, "url": URL}
    said = hide(f"sunshine, {key!r}, MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw, service_account {DRAWN} {PASSWORD}", given)
    for word in ("sunshine", "MIIEv", "ggSjAgEAAoIBAQC7", DRAWN, PASSWORD):
        assert word not in said
    assert "service_account" in said


def test_what_pydantic_cuts_out_of_the_middle_leaves_no_end_of_a_secret():
    other = DRAWN[::-1] * 3
    for said in (
        f"[type=missing, input_value={{'secret_key': '{(DRAWN * 3)[:9]}...{other[-20:]}'}}, input_type=dict]",
        f"input_value='postgresql+asyncpg://shop:{PASSWORD[:6]}...al:5432/shop_production', input_type=str",
        f"500 the key is {DRAWN[:7]}…",
    ):
        hidden = hide(said, ONE_KEY=DRAWN * 3, OTHER_KEY=other, DATABASE_URL=URL)
        for secret in (DRAWN * 3, other, PASSWORD):
            assert not any(secret[:n] in hidden or secret[-n:] in hidden for n in range(5, len(secret)))
        assert "..." in hidden or "…" in hidden
    assert hide("reading...", ONE_KEY=DRAWN) == "reading..."
    assert hide("all of the mothballs...", PASSWORD="mothball") == "all of the mothballs..."


LETTERS = string.ascii_letters + string.digits
KEYS = st.text(LETTERS + "-_.~/+=!@#$%^&*", min_size=12, max_size=60).filter(secrets.drawn)
ANY = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=6, max_size=40)
SPELLINGS = [
    str,
    repr,
    json.dumps,
    lambda text: repr(text.encode())[2:-1] if text.isascii() else text,
    lambda text: urllib.parse.quote(text, safe=""),
    lambda text: f"x{text}y",
]


@given(KEYS, st.sampled_from(SPELLINGS), st.sampled_from(["PASSWORD", "SETTING", "URL", "CREDENTIAL"]), st.text())
def test_no_spelling_of_a_drawn_value_is_left(key, spell, place, around):
    value = {"URL": f"redis://shop:{urllib.parse.quote(key, safe='')}@cache:6379/0"}.get(place, key)
    given = {"credentials": {"any": value}} if place == "CREDENTIAL" else {place: value}
    said = hide(f"{around} {spell(key)} {around}", **given)
    assert spell(key).strip("'\"") not in said or key in around


@given(ANY.map(str.strip).filter(lambda text: len(text) >= 6), st.sampled_from([str, repr, json.dumps]))
def test_nor_of_any_password(password, spell):
    plain = password.lower() in ("true", "false") or password.isdigit() or password[0] in "/~." or "://" in password
    said = hide(f"password: [{spell(password)}]", SHOP_PASSWORD=password)
    assert plain or said == "password: [***]" or ("***" in said and password not in said)


@given(st.dictionaries(st.sampled_from(["A", "B_KEY", "C_URL"]), ANY), st.text(max_size=300))
def test_hiding_takes_any_text_and_does_nothing_more_the_second_time(environment, text):
    take = Hider(secrets_in(render(environment), {}))
    assert take(take(text)).count("\n") == text.count("\n")


def test_the_slots_of_an_app_and_what_is_about_to_be_in_one(tmp_path):
    for slot, value in (("blue", DRAWN), (".green-x", DRAWN[::-1])):
        (tmp_path / "slots" / slot / "credentials").mkdir(parents=True)
        (tmp_path / "slots" / slot / "env").write_text(render({"KEY": value}) + 'FASTAPI_RELEASE="0123456789ab"\n')
        (tmp_path / "slots" / slot / "credentials" / "note").write_text(f"note-of-{slot}\n")
    (tmp_path / "environment").write_text(render({"KEY": "of-a-failed-deploy"}))
    take = hider(str(tmp_path), render({"TOKEN": "a-new-token"}), {"word": "a new word"})
    told = take(
        f"{DRAWN} {DRAWN[::-1]} note-of-blue note-of-.green-x a-new-token a new word of-a-failed-deploy 0123456789ab"
    )
    assert told == "*** *** *** *** *** *** *** 0123456789ab"
    assert hider(str(tmp_path / "none"))("any words https://a:b@c/") == "any words https://***@c/"
