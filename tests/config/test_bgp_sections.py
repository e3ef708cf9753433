"""Peers in sections of their own, passwords in files, and what a service says of BGP."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from pybal.config.problems import Severity
from pybal.config.settings import (
    BGPPeerOptions,
)
from tests.config.bgp_texts import LINES, TWO_PEERS, announced, bgp
from tests.config.texts import FILE, GLOBAL_BGP, load, only_problem, parse, service, settings, shown


class TestPeers:
    def test_a_peer_of_its_own_differs_where_it_says_so(self) -> None:
        text = (
            "bgp-hold-time = 30\nbgp-password = all\nbgp-bfd-interval = 50\n"
            "[[peer 2001:db8::1]]\nbgp-password = one\nbgp-bfd = yes"
        )
        first, second = bgp(text, TWO_PEERS).peers
        assert first.options == BGPPeerOptions(password="all", hold_time_s=30, bfd_interval_ms=50)
        assert second.options == BGPPeerOptions(
            password="one", hold_time_s=30, bfd=True, bfd_interval_ms=50
        )

    @pytest.mark.parametrize("key", ["bgp-password", "bgp-password-file"])
    def test_a_peer_may_do_without_the_password_of_all(self, key: str) -> None:
        first, second = bgp(f"bgp-password = all\n[[peer 2001:db8::1]]\n{key} =", TWO_PEERS).peers
        assert first.options.password == "all"
        assert second.options.password is None

    def test_one_whose_address_is_nowhere_else_is_told_to_name_it(self) -> None:
        for others in ("", "[[peers 198.51.100.0/24]]\n"):
            text = GLOBAL_BGP.replace("bgp-peer-address = 198.51.100.1\n", "")
            problem = only_problem(f"{text}{others}[[peer 192.0.2.1]]\n{service()}")
            assert problem.key == "bgp-peer-address"
            assert problem.message.endswith("those of the sub-sections [[peer]]: 192.0.2.1")

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (
                "[[peer 2001:db8::2]]",
                "[[peer 2001:db8::2]]: 2001:db8::2 is not in bgp-peer-address",
            ),
            (
                "[[peer 192.0.2.300]]",
                "[[peer 192.0.2.300]]: must be [[peer ADDRESS]] or [[peer INTERFACE]]",
            ),
            ("[[peer]]", "[[peer]]: must be [[peer ADDRESS]] or [[peer INTERFACE]]"),
            ("[[peer eth0]]\n[[peer  eth0]]", "[[peer  eth0]]: a second sub-section of eth0"),
            (
                "[[peers 192.0.2.1/24]]",
                "[[peers 192.0.2.1/24]]: must be [[peers PREFIX]], a prefix such as"
                " 198.51.100.0/24; 192.0.2.1/24 has host bits set",
            ),
            (
                "[[peers 192.0.2.0/24]]\nbgp-connect-only = yes",
                "[[peers 192.0.2.0/24]] bgp-connect-only = 'yes': "
                "peers out of a prefix connect to us",
            ),
            (
                "[[peers 192.0.2.0/24]]\nbgp-peer-limit = 0",
                "[[peers 192.0.2.0/24]] bgp-peer-limit = '0': "
                "must be a whole number from 1 to 10000",
            ),
            (
                "[[peer 2001:db8::1]]\n[[peer 2001:db8:0::1]]",
                "[[peer 2001:db8:0::1]]: a second sub-section of 2001:db8::1",
            ),
            (
                "[[peer 2001:db8::1]]\nbgp-hold-time = 1",
                "[[peer 2001:db8::1]] bgp-hold-time = '1': "
                "must be 0 or a whole number of seconds from 3 to 65535",
            ),
        ],
    )
    def test_mistakes_in_a_peers_section(self, lines: str, message: str) -> None:
        line = LINES + 1 + lines.count("\n")
        assert shown(f"{TWO_PEERS}{lines}\n{service()}") == [f"{FILE}:{line}: {message}"]

    def test_a_key_that_is_not_for_one_peer_is_a_warning(self) -> None:
        text = f"{TWO_PEERS}[[peer 2001:db8::1]]\nbgp-holdtime = 1\nbgp-as-path = 1\n{service()}"
        problems = parse(text, FILE).problems
        assert [problem.severity for problem in problems] == [Severity.WARNING] * 2
        assert "did you mean bgp-hold-time?" in problems[0].message

    def test_peers_may_have_sections_while_bgp_is_off_and_there_are_none(self) -> None:
        settings(f"[global]\n[[peer 192.0.2.1]]\nbgp-hold-time = 30\n{service()}")


class TestPasswords:
    def file(self, folder: Path, content: bytes = b"hunter2\n", mode: int = 0o600) -> Path:
        path = folder / "password"
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def load(self, folder: Path, path: Path | str) -> list[str]:
        """Problems of a file that names that password file; none if it is good."""
        config = folder / "pybal.conf"
        config.write_text(f"{GLOBAL_BGP}bgp-password-file = {path}\n{service()}")
        result = load(config)
        assert not any("hunter2" in str(problem) for problem in result.problems)
        if result.settings is not None and result.settings.bgp is not None:
            (peer,) = result.settings.bgp.peers
            assert peer.options.password == "hunter2"
            assert "hunter2" not in repr(result.settings)
        return [problem.message for problem in result.problems]

    def test_a_file_of_the_owners_alone_holds_it(self, tmp_path: Path) -> None:
        assert self.load(tmp_path, self.file(tmp_path)) == []
        assert self.load(tmp_path, self.file(tmp_path, b"hunter2", 0o400)) == []

    @pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o601])
    def test_a_file_that_others_may_use_is_refused(self, tmp_path: Path, mode: int) -> None:
        path = self.file(tmp_path, mode=mode)
        assert self.load(tmp_path, path) == [
            f"{path}: others than its owner may use it (mode {mode:04o}); chmod 600 it"
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "must hold 1 to 80 bytes of UTF-8"),
            (b"hunter2" * 12, "must hold 1 to 80 bytes of UTF-8"),
            (b"hunter2\nhunter2\n", "must hold one line of printable text"),
            (b"\xffhunter2", "is not UTF-8 text"),
            (b"hunter2" * 10000, "must hold one line of printable text"),
        ],
    )
    def test_a_file_with_something_else_in_it_is_refused(
        self, tmp_path: Path, content: bytes, message: str
    ) -> None:
        (problem,) = self.load(tmp_path, self.file(tmp_path, content))
        assert message in problem

    def test_a_file_that_cannot_be_read_is_an_error(self, tmp_path: Path) -> None:
        (missing,) = self.load(tmp_path, tmp_path / "nothing")
        assert missing.endswith("nothing: cannot be read: No such file or directory")
        (relative,) = self.load(tmp_path, "etc/password")
        assert relative == "must be an absolute path"
        (device,) = self.load(tmp_path, "/dev/null")
        assert device == "/dev/null: is not a regular file"

    def test_there_is_one_password_at_most(self, tmp_path: Path) -> None:
        path = self.file(tmp_path)
        text = f"{GLOBAL_BGP}bgp-password = hunter2\nbgp-password-file = {path}\n{service()}"
        problem = only_problem(text)
        assert problem.message == f"bgp-password is in line {LINES + 1}; set only one"

    def test_a_password_that_is_too_long_is_an_error_that_does_not_show_it(self) -> None:
        (problem,) = shown(f"{GLOBAL_BGP}bgp-password = {'hunter2' * 12}\n{service()}")
        assert problem.endswith("bgp-password = '***': must be 1 to 80 bytes of UTF-8; it has 84")


class TestServices:
    def test_a_service_has_communities_of_its_own_or_none_at_all(self) -> None:
        found = announced(bgp_communities="64600:1", bgp_large_communities="[]")
        assert found.bgp.communities == (64600 << 16 | 1,)
        assert found.bgp.large_communities == ()
        assert announced().bgp.communities is None

    @pytest.mark.parametrize(
        ("text", "below"),
        [
            ("no", None), ("0", None), ("yes", Fraction(0)), ("1", Fraction(0)),
            (".07", Fraction(7, 100)), ("0.5", Fraction(1, 2)),
        ],
    )  # fmt: skip
    def test_withdrawing_on_down_is_a_switch_or_a_share(
        self, text: str, below: Fraction | None
    ) -> None:
        assert announced(bgp_withdraw_on_down=text).bgp.withdraw_below == below

    @pytest.mark.parametrize("text", ["2", "1.0", "0.0", "50%", "-.5", "some"])
    def test_other_shares_are_errors(self, text: str) -> None:
        problem = only_problem(GLOBAL_BGP + service(bgp_withdraw_on_down=text))
        assert (problem.severity, problem.key) == (Severity.ERROR, "bgp-withdraw-on-down")
        assert "a share of the servers above 0 and below 1" in problem.message

    def test_it_is_nothing_without_monitors_or_beside_a_service_that_stays(self) -> None:
        (_, problem) = parse(
            GLOBAL_BGP + service(bgp_withdraw_on_down="yes", monitors="[]"), FILE
        ).problems
        assert problem.message == "has no effect: without monitors no server is down"
        problem = only_problem(
            GLOBAL_BGP + service("a", bgp_withdraw_on_down="yes") + service("b", port="81")
        )
        assert (problem.severity, problem.section) == (Severity.WARNING, "a")
        assert "[b]" in problem.message
        settings(
            GLOBAL_BGP
            + service("a", bgp_withdraw_on_down="yes")
            + service("b", port="81", bgp_withdraw_on_down=".5")
        )

    @pytest.mark.parametrize(
        ("key", "value"), [("bgp_communities", "64600:1"), ("bgp_large_communities", "1:2:3")]
    )
    def test_one_address_has_one_set_of_communities(self, key: str, value: str) -> None:
        text = GLOBAL_BGP + service("a", **{key: value}) + service("b", port="81")
        problem = only_problem(text)
        assert (problem.severity, problem.section) == (Severity.ERROR, "b")
        assert problem.key == key.replace("_", "-")
        assert "the set differs from that of [a]" in problem.message
        settings(text + f"{key.replace('_', '-')} = {value}\n")
