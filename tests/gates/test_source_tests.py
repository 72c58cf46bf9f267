from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.gates.source_tests import UnreadableError, find_tests

PYTHON = b"""
import pytest, unittest
from not_written_yet import thing

def helper(): ...
def test_a(): ...
async def test_b(): ...
@pytest.mark.parametrize("x", [1, 2])
def test_c(x): ...
class TestGroup:
    def test_d(self): ...
    def helper(self): ...
    class TestInner:
        def test_e(self): ...
class ShopTests(unittest.TestCase):
    def test_f(self): ...
class Shop:
    def test_not_collected(self): ...
if thing:
    def test_g(): ...
try:
    import x
except ImportError:
    def test_h(): ...
def outer():
    def test_not_collected(): ...
"""


def test_python_tests_are_found_by_parsing() -> None:
    names = [
        "test_a",
        "test_b",
        "test_c",
        "TestGroup.test_d",
        "TestGroup.TestInner.test_e",
        "ShopTests.test_f",
        "test_g",
        "test_h",
    ]
    assert list(find_tests("tests/test_x.py", PYTHON)) == names


def test_text_in_a_python_string_is_not_a_test() -> None:
    assert find_tests("test_x.py", b'"""\ndef test_a(): ...\n"""') == {}


@pytest.mark.parametrize("source", [b"def test_a(:", b"\0", b"\xff", b"(" * 5000, b"-" * 100_000 + b"1"])
def test_python_that_cannot_be_parsed_is_unreadable(source: bytes) -> None:
    with pytest.raises(UnreadableError):
        find_tests("test_x.py", source)


@pytest.mark.parametrize(
    ("path", "source", "count"),
    [
        ("a_test.go", "func TestA(t *testing.T) {\n}\nfunc helper() {}\nfunc FuzzB(f *testing.F) {}\n", 2),
        ("tests/a.rs", '#[test]\nfn a() {}\n#[tokio::test(flavor = "x")]\nasync fn b() {}\nfn c() {}', 2),
        ("a.test.ts", "describe('x', () => {\n  it('a', () => {})\n  test.each([1])(`b`, () => {})\n  it.skip('c', () => {})\n})", 2),
        ("ATest.java", "class A {\n  @Test\n  void a() {}\n  @ParameterizedTest void b() {}\n  void c() {}\n}", 2),
        ("a_spec.rb", "describe X do\n  it 'a' do\n  end\n  it { is_expected.to be }\nend", 2),
        ("a_test.rb", "class A\n  def test_a\n  end\nend", 1),
        ("A.Tests.cs", "[Fact]\npublic void A() {}\n[Theory]\nvoid B() {}", 2),
        ("ATest.php", "public function testA() {}", 1),
        ("ATests.swift", "func testA() {}", 1),
        ("a_test.exs", 'test "a" do\nend', 1),
        ("a_test.dart", "  test('a', () {});", 1),
        ("a_test.cc", "TEST(A, B) {}\nTEST_F(A, C) {}", 2),
        ("a.bats", '@test "a" {\n}', 1),
        ("tests/data.json", '{"test": 1}', 0),
        ("tests/README", "def test_a(): ...", 0),
    ],
)  # fmt: skip
def test_tests_of_other_languages_are_found_by_pattern(path: str, source: str, count: int) -> None:
    assert len(find_tests(path, source.encode())) == count


def test_a_change_of_white_space_does_not_change_a_test() -> None:
    before = find_tests("a_test.go", b"func TestA(t *testing.T) { x() }\n")
    after = find_tests("a_test.go", b"\n\nfunc TestA(t *testing.T) {\n\tx()\n}\n")
    assert list(before.values()) == list(after.values())


@given(st.binary(max_size=200), st.sampled_from(["a.py", "a.go", "a.ts", "a.java", "a.rb", "a.rs"]))
def test_any_bytes_are_counted_or_unreadable(source: bytes, path: str) -> None:
    with contextlib.suppress(UnreadableError):
        assert all(isinstance(text, str) for text in find_tests(path, source).values())


@pytest.mark.parametrize(
    ("path", "text"), [("A.java", "\n"), ("a.rs", "#[test"), ("a.ts", "it`"), ("a.rb", "it "), ("a.c", "TEST ")]
)
def test_hostile_sources_are_read_quickly(path: str, text: str) -> None:
    started = time.monotonic()
    assert len(find_tests(path, text.encode() * 100_000)) <= 100_000
    assert time.monotonic() - started < 5
