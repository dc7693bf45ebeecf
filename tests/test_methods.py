"""Methods by their texts: what is read from one, and what is said of a text that makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.methods import parse_method
from harness.names import UnknownName


def test_an_option_goes_to_who_has_it() -> None:
    method = parse_method("asha:eta=4:sampler=tpe:gamma=0.2:univariate=true")
    assert method.scheduler.name == "asha" and method.scheduler_options == {"eta": 4.0}
    assert method.sampler is not None and method.sampler.name == "tpe"
    assert method.sampler_options == {"gamma": 0.2, "univariate": True}
    mobster = parse_method("mobster:eta=2:independent=true")
    assert mobster.scheduler_options == {"eta": 2.0} and mobster.sampler_options == {"independent": True}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("asah", "unknown method 'asah': did you mean asha"),
        ("asha:etta=3", "unknown option of 'asha' 'etta': did you mean eta"),
        ("asha:samplr=tpe", "did you mean sampler"),
        ("rs:sampler=gp", "unknown option of 'rs' 'sampler': there are none"),
        ("tpe:sampler=gp", "'sampler': possible are candidates, gamma, initial, univariate"),
        ("bo:sampler=rs", "bo is single:sampler=gp, its sampler is not to be chosen; write `single:sampler=rs`"),
        ("asha:sampler=bo", r"unknown sampler 'bo': .* \(bo is single:sampler=gp.\)"),
        ("asha:sampler=hyperband", "unknown sampler 'hyperband'"),
        ("asha:eta=3:grace=1:eta=4", "eta is given twice"),
        ("asha:eta", "an option is written name=value, given 'eta'"),
        ("asha:eta=three", "option eta takes float, given 'three'"),
        ("asha:grace=1.5", r"option grace takes int \| None, given '1.5'"),
        ("tpe:univariate=maybe", "option univariate takes bool, given 'maybe'"),
    ],
)
def test_a_text_without_sense_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_method(text)


def test_a_composition_that_is_fixed_does_not_offer_its_sampler() -> None:
    with pytest.raises(UnknownName) as refused:
        parse_method("mobster:zzz=1")
    assert "acquisition" in str(refused.value) and "sampler" not in str(refused.value)


def test_a_default_that_is_no_literal_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        '"""Mine."""\n'
        '__all__ = ["Mine"]\n'
        "ETA = 3\n"
        "class Mine:\n"
        "    def __init__(self, benchmark, rng, *, sampler, eta=ETA): ...\n"
        "    def ask(self): ...\n"
        "    def tell(self, report): ...\n"
    )
    with pytest.raises(ValueError, match=r"mine.py, line 5: the default of eta must be a literal, given ETA"):
        parse_method(str(path))
