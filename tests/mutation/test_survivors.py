"""What `make mutation` reads from mutmut, and under which mark a survivor is explained."""

from dataclasses import replace

from tests.mutation.survivors import explained, survivor

TOLD = """# apply.door.xǁDoorǁexactly__mutmut_5: survived
--- apply/door.py
+++ apply/door.py
@@ -1,4 +1,4 @@
 def exactly(self, standing: Item) -> Condition:
-    compared = sorted(standing) if len(standing) <= 100 else []
+    compared = sorted(standing) if len(standing) < 100 else []
     return compared
"""

FOUND = survivor(TOLD)


def test_a_survivor_is_known_by_its_place_and_by_the_lines_that_changed() -> None:
    assert FOUND.where == "apply.door.Door.exactly"
    assert FOUND.was == "compared = sorted(standing) if len(standing) <= 100 else []"
    assert FOUND.now == "compared = sorted(standing) if len(standing) < 100 else []"
    assert survivor(TOLD.replace("mutmut_5", "mutmut_6").replace("-1,4", "-9,4")).mark == FOUND.mark
    assert survivor(TOLD.replace("def exactly", "def other")).mark != FOUND.mark, "the same line may stand there twice"
    assert replace(FOUND, where="apply.door.Door.put").mark != FOUND.mark
    assert replace(FOUND, was=FOUND.was + "  # other").mark != FOUND.mark


def test_a_function_of_a_module_has_no_class_in_its_place() -> None:
    assert survivor(TOLD.replace("xǁDoorǁexactly", "x__adoptable")).where == "apply.door._adoptable"


def test_a_page_explains_the_marks_it_names() -> None:
    assert explained(f"| `#{FOUND.mark}` | `< 100` | why |\nand #abcdef is none") == {FOUND.mark}


def test_a_sentence_is_a_text_for_people_and_a_word_is_not() -> None:
    """Nothing but the sentence may have changed."""
    said = replace(
        FOUND, was='raise Lost("it is gone", hint="see x")', now='raise Lost("XXit is goneXX", hint="see x")'
    )
    assert said.is_text
    assert not replace(said, was='move("fence")', now='move("XXfenceXX")').is_text
    assert not replace(said, now='raise Lost("it is gone", )').is_text
    assert not replace(said, now='raise Found("IT IS GONE", hint="see x")').is_text
    assert not FOUND.is_text
