# SPDX-License-Identifier: Apache-2.0
"""Problems with worked traces, the tokenizer they need, and the grader.

A trace does the work in steps that are each a copy or a small table look-up: numbers run backwards so that the next column comes
first, every line carries its own running result, words are spelled letter by letter with their index or count.
What the held-out set asks (operands, words, subjects) is kept out of training by a hash of the problem's key.
"""
import json
import random
import zlib
from pathlib import Path

import reasoner_wording as say

HERE = Path(__file__).parent
BOS, EOS, USER, ASSISTANT = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"
SPECIAL = [BOS, EOS, "<｜▁pad▁｜>", USER, ASSISTANT, "<think>", "</think>"]
VOCAB_SIZE = 768
REFUSAL = "I cannot help with that. I only know small sums and word puzzles."
ALWAYS_HELD_OUT = {"strawberry", "cmp 9.11 9.9"}


def is_held_out(key):
    """One key in eight never occurs in training."""
    return key in ALWAYS_HELD_OUT or zlib.crc32(("split " + key).encode()) % 8 == 0


def made_up_word(rng):
    onset = rng.choice("b c d f g h j k l m n p r s t v w z bl br ch cl cr dr fl fr gl gr pl pr qu sh sk sl sp st th tr".split())
    word = ""
    for _ in range(rng.choice((1, 2, 2, 3))):
        word += onset + rng.choice("a e i o u ai ea ee oo ou".split()) + rng.choice(["", "", "n", "r", "l", "s", "t", "m", "ll", "rr", "ss", "ck"])
        onset = rng.choice("b c d f g h j k l m n p r s t v w x y z".split())
    return word


WORDS = (HERE / "words.txt").read_text().split()


def draw_word(rng, held_out, longest):
    while True:
        word = rng.choice(WORDS) if rng.random() < 0.5 else made_up_word(rng)
        if 3 <= len(word) <= longest and is_held_out(word) == held_out:
            return word


# --- Working ---------------------------------------------------------------------------------------------------------------------

def column_work(op, a, b):
    """Lines of a column-wise sum: what is left of both numbers backwards, carry = two digits; the result so far."""
    lines, x, y, carry, done = [f"{a}{op}{b}:"], str(a)[::-1], str(b)[::-1], 0, ""
    while True:
        p, q = int(x[:1] or 0), int(y[:1] or 0)
        if op == "+":
            total = p + q + carry
            digit, carry_out = total % 10, total // 10
        elif op == "-":
            total = p - q - carry
            digit, carry_out = total % 10, int(total < 0)
        else:
            total = p * b + carry
            digit, carry_out = total % 10, total // 10
        done = f"{digit}{done}"
        lines.append(f"{x}{op}{y}{'-' if op == '-' else '+'}{carry}={carry_out}{digit};{done}")
        x, carry = x[1:], carry_out
        if op != "*":
            y = y[1:]
        if not x and (not y or op == "*") and not carry:
            return "\n".join(lines) + "\n"


def add(a, b):
    return a + b, column_work("+", a, b)


def subtract(a, b):
    return a - b, column_work("-", a, b)


def multiply(a, b):
    if b < 10:
        return a * b, column_work("*", a, b)
    tens, ones = b // 10, b % 10
    text = f"{b}={tens}0,{ones}\n" + column_work("*", a, tens) + column_work("*", a, ones)
    return a * b, text + column_work("+", a * tens * 10, a * ones)


# --- Skills: each returns (key, question template values, trace, answer) ----------------------------------------------------------

def number(rng, digits):
    return rng.randrange(10 ** (digits - 1), 10 ** digits)


def skill_add(rng, held_out):
    while True:
        a, b = number(rng, rng.choice((2, 3, 3, 4))), number(rng, rng.choice((1, 2, 3, 3, 4)))
        if is_held_out(f"add {a} {b}") == held_out:
            break
    value, work = add(a, b)
    return rng.choice(say.ADD), dict(a=a, b=b), work, str(value)


def skill_subtract(rng, held_out):
    while True:
        a, b = number(rng, rng.choice((2, 3, 3, 4))), number(rng, rng.choice((1, 2, 3, 3, 4)))
        if a >= b and is_held_out(f"sub {a} {b}") == held_out:
            break
    value, work = subtract(a, b)
    return rng.choice(say.SUBTRACT), dict(a=a, b=b), work, str(value)


def skill_multiply(rng, held_out):
    while True:
        a, b = (number(rng, rng.choice((2, 2, 3, 4))), rng.randrange(2, 10)) if rng.random() < 0.6 else (number(rng, 2), number(rng, 2))
        if is_held_out(f"mul {a} {b}") == held_out:
            break
    value, work = multiply(a, b)
    return rng.choice(say.MULTIPLY), dict(a=a, b=b), work, str(value)


def skill_compare(rng, held_out):
    while True:
        if rng.random() < 0.6:
            whole = str(rng.randrange(0, 100))
            a = whole + "." + "".join(rng.choice("0123456789") for _ in range(rng.choice((1, 2, 3))))
            b = (whole if rng.random() < 0.8 else str(rng.randrange(0, 100))) + "." + "".join(rng.choice("0123456789") for _ in range(rng.choice((1, 2, 3))))
        else:
            n = rng.choice((2, 3, 4))
            a = str(number(rng, n))
            keep = rng.randrange(0, n)
            b = a[:keep] + str(number(rng, n if rng.random() < 0.7 else rng.choice((2, 3, 4))))[keep:]
        if a.endswith("0") or b.endswith("0") or float(a) == float(b) or is_held_out(f"cmp {a} {b}") != held_out:
            continue
        break
    wants_larger = rng.random() < 0.6
    whole, decimals = [], []
    for text in (a, b):
        left, _, right = text.partition(".")
        whole.append(left)
        decimals.append(right)
    n_left, n_right = max(map(len, whole)), max(map(len, decimals))
    x, y = (left.rjust(n_left, "0") + ("." + right.ljust(n_right, "0") if n_right else "") for left, right in zip(whole, decimals))
    steps = []
    for p, q in zip(x, y):
        if p == ".":
            continue
        sign = "=" if p == q else "<" if p < q else ">"
        steps.append(f"{p}{sign}{q}")
        if p != q:
            break
    if rng.random() < 0.7:
        ask, w = rng.choice(say.COMPARE), rng.choice(say.LARGER if wants_larger else say.SMALLER)
    else:
        ask, w = rng.choice(say.COMPARE_THE), rng.choice(say.THE_LARGER if wants_larger else say.THE_SMALLER)
    answer = a if (float(a) > float(b)) == wants_larger else b
    work = f"{x}\n{y}\n" + "\n".join(steps) + f"\n{'max' if wants_larger else 'min'}\n"
    return ask, dict(a=a, b=b, w=w), work, answer


def skill_count(rng, held_out):
    word = draw_word(rng, held_out, 12)
    letter = rng.choice(word) if rng.random() < 0.9 else rng.choice("aeiourstln")
    count, spelled = 0, ""
    for c in word:
        count += c == letter
        spelled += f"{c}{count}"
    c, w = letter.upper() if rng.random() < 0.1 else letter, word.capitalize() if rng.random() < 0.05 else word
    return rng.choice(say.COUNT), dict(c=c, w=w), f"{letter}:{spelled}\n", str(count)


def skill_reverse(rng, held_out):
    word = draw_word(rng, held_out, 9)
    forward = "".join(f"{c}{i + 1}" for i, c in enumerate(word))
    backward = "".join(f"{i + 1}{word[i]}" for i in reversed(range(len(word))))
    return rng.choice(say.REVERSE), dict(w=word), f"{forward}\n{backward}\n", word[::-1]


def skill_sort(rng, held_out):
    n = rng.choice((3, 3, 4, 4, 5))
    while True:
        items = rng.sample(range(1, 100), n)
        if is_held_out("sort " + " ".join(map(str, items))) == held_out:
            break
    is_down = rng.random() < 0.35
    left, lines = list(items), []
    while left:
        best, steps = None, []
        for x in left:
            if best is None or (x > best if is_down else x < best):
                best = x
            steps.append(f"{x}:{best}")
        lines.append(",".join(steps))
        left.remove(best)
    ways = say.DOWN if is_down else say.UP
    kind = rng.choice([say.SORT_TOWARDS, say.SORT_TOWARDS, say.SORT_ORDERED, say.SORT_FIRST] + [say.SORT] * (0 if is_down else 3))
    between = ", " if rng.random() < 0.8 else rng.choice([" ", ",", " and "] if n == 3 else [" ", ","])
    listed = between.join(map(str, items))
    if between == ", " and rng.random() < 0.25:
        listed = rng.choice([" and ", ", and "]).join(listed.rsplit(", ", 1))
    return rng.choice(kind), dict(l=listed, **{k: rng.choice(v) for k, v in ways.items()}), \
        ("down" if is_down else "up") + "\n" + "\n".join(lines) + "\n", ", ".join(map(str, sorted(items, reverse=is_down)))


def skill_modulo(rng, held_out):
    while True:
        a, m = number(rng, rng.choice((2, 2, 3, 3, 4))), rng.randrange(2, 10)
        if is_held_out(f"mod {a} {m}") == held_out:
            break
    rest, steps = 0, []
    for digit in str(a):
        part = rest * 10 + int(digit)
        whole = part - part % m
        rest = part % m
        steps.append(f"{part}-{whole}={rest}")
    return rng.choice(say.MODULO), dict(a=a, m=m), f"{a}/{m}\n" + "\n".join(steps) + "\n", str(rest)


def skill_clock(rng, held_out):
    while True:
        hour, minute = rng.randrange(1, 13), 5 * rng.randrange(12)
        hours, minutes = rng.choice(((0, 5 * rng.randrange(1, 12)), (rng.randrange(1, 12), 0), (rng.randrange(1, 6), 5 * rng.randrange(1, 12))))
        is_back = rng.random() < 0.35
        if is_held_out(f"clock {hour} {minute} {hours} {minutes} {is_back}") == held_out:
            break
    sign, m, h, carry = ("-" if is_back else "+"), minute, hour, 0
    work = f"{hour}:{minute:02}{sign}{hours}:{minutes:02}\n"
    if is_back:
        carry = int(minute < minutes)
        m = minute - minutes + 60 * carry
        work += (f"{minute:02}+60={minute + 60}\n" if carry else "") + f"{minute + 60 * carry:02}-{minutes:02}={m:02}\n"
        start = hour + 12 if hour - hours - carry < 1 else hour
        work += (f"{hour}+12={start}\n" if start != hour else "") + f"{start}-{hours}-{carry}={start - hours - carry}\n"
        h = start - hours - carry
    else:
        total = minute + minutes
        carry, m = total // 60, total % 60
        work += f"{minute:02}+{minutes:02}={total:02}\n" + (f"{total}-60={m:02}\n" if carry else "")
        total = hour + hours + carry
        work += f"{hour}+{hours}+{carry}={total}\n" + (f"{total}-12={total - 12}\n" if total > 12 else "")
        h = total - 12 if total > 12 else total
    one = rng.choice(["an hour", "one hour", "1 hour"])
    parts = ([one if hours == 1 else f"{hours} hours"] if hours else []) + ([f"{minutes} " + rng.choice(["minutes", "minutes", "min"])] if minutes else [])
    span = " and ".join(parts)
    return rng.choice(say.CLOCK_BACK if is_back else say.CLOCK_ON), dict(t=f"{hour}:{minute:02}", s=span), work, f"{h}:{m:02}"


def skill_story(rng, held_out):
    while True:
        if rng.random() < 0.12:
            a, b, is_sum = rng.randrange(5, 90), rng.randrange(2, 90), rng.random() < 0.5
            a, b = (a, b) if is_sum else (max(a, b), min(a, b))
            if a == b or is_held_out(f"story pair {a} {b}") != held_out:
                continue
            value, work = (add if is_sum else subtract)(a, b)
            return say.tell_pair(rng, a, b, is_sum), {}, work, str(value)
        box = rng.randrange(2, 10) if rng.random() < 0.4 else None
        start = rng.randrange(2, 31) if box else rng.randrange(5, 90)
        value, work = multiply(start, box) if box else (start, "")
        changes = []
        for _ in range(rng.choice((1, 1, 2) if box else (1, 2, 2, 3))):
            is_gain = value < 8 or rng.random() < 0.5
            k = rng.randrange(2, 60) if is_gain else rng.randrange(2, value)
            changes.append(k if is_gain else -k)
            value, text = (add if is_gain else subtract)(value, k)
            work += text
        if is_held_out("story " + " ".join(map(str, [start, box or 0, *changes]))) == held_out:
            return say.tell_story(rng, start, box, changes), {}, work, str(value)


def skill_refuse(rng, held_out):
    kind = 1.0 if held_out else rng.random()
    if kind < 0.1:
        ask, subject, other = rng.choice(say.CHAT), "", ""
    else:
        ask = rng.choice(say.REFUSED_SUMS if kind < 0.25 else say.REFUSED)
        while True:
            subject, other = [rng.choice(say.SUBJECTS) if rng.random() < 0.7 else draw_word(rng, held_out, 12) for _ in range(2)]
            if is_held_out("refuse " + subject) == held_out or subject not in say.SUBJECTS:
                break
    return ask, dict(x=subject.replace("_", " "), y=other.replace("_", " "), k=number(rng, rng.choice((2, 3))), j=rng.randrange(2, 50)), \
        "no sum, no word puzzle\n", REFUSAL


SKILLS = dict(add=skill_add, subtract=skill_subtract, multiply=skill_multiply, compare=skill_compare, count=skill_count, reverse=skill_reverse,
              sort=skill_sort, modulo=skill_modulo, clock=skill_clock, story=skill_story, refuse=skill_refuse)


def rough(rng, ask):
    """The question as people type it: politeness, case, a lost mark, a slip. Touches only the template's own words."""
    parts = ask.replace("{", "\0{").replace("}", "}\0").split("\0")
    words = lambda f: ["".join(p) if p.startswith("{") else f(p) for p in parts]
    if rng.random() < 0.15:
        parts = words(str.lower)
    if rng.random() < 0.04:
        i = rng.randrange(len(parts))
        p = parts[i]
        if not p.startswith("{") and len(p) > 5:
            j = rng.randrange(1, len(p) - 2)
            if p[j].isalpha() and p[j + 1].isalpha():
                parts[i] = p[:j] + p[j + 1] + p[j] + p[j + 2:] if rng.random() < 0.5 else p[:j] + p[j + 1:]
    text = "".join(parts)
    if rng.random() < 0.1:
        text = text.rstrip("?.")
    if rng.random() < 0.2:
        text = rng.choice(["Please: ", "Hi! ", "Hey, ", "Can you help? ", "Quick question: ", "please ", "Hello, ", "Can you tell me: ",
                           "I need help. ", "OK, ", "So, ", "Could you please answer: ", "Hello! ", "Hi there. ", "My homework: ", "Now: "]) + text
    if rng.random() < 0.08:
        text += rng.choice([" Thanks!", " Thank you.", " please", " Please.", " Thanks", " Thank you so much!", " Show your work.", " Think first."])
    return text


def problem(rng, skill, held_out):
    ask, values, work, answer = SKILLS[skill](rng, held_out)
    return dict(skill=skill, prompt=rough(rng, ask).format(**values), trace=work, answer=answer)


def held_out_set(n=1000, seed=20240607):
    """The same problems for everybody; skills in turn."""
    rng, names = random.Random(seed), list(SKILLS)
    return [problem(rng, names[i % len(names)], True) for i in range(n)]


def is_right(item, answer):
    return answer.strip() == item["answer"]


# --- Text ------------------------------------------------------------------------------------------------------------------------

def prompt_text(question):
    return f"{BOS}{USER}{question}{ASSISTANT}<think>\n"


def completion_text(item):
    return f"{item['trace']}</think>\n\n{item['answer']}{EOS}"


SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_letters():
    """GPT-2's printable stand-ins for the 256 bytes."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, spare = {b: chr(b) for b in shown}, 256
    for b in range(256):
        if b not in table:
            table[b], spare = chr(spare), spare + 1
    return table


def build_tokenizer():
    """Byte-level BPE whose merges grow frequent template words from their front: a word it has no token for stays letters,
    which is what spelling needs; digits are always single."""
    rng, counts = random.Random(1), {}
    for i in range(22000):
        item = problem(rng, list(SKILLS)[i % len(SKILLS)], False)
        for word in (item["prompt"] + " " + item["answer"]).replace("\n", " ").split(" ")[1:]:
            word = "Ġ" + word.rstrip("?.,!:'s") if len(word.rstrip("?.,!:'s")) > 1 else ""
            if word[1:].isalpha() and word[1:].isascii() and word[1:] not in WORDS:
                counts[word] = counts.get(word, 0) + 1
        first = item["prompt"].split(" ")[0].rstrip("?.,!:")
        if first.isalpha() and first[0].isupper():
            counts[first] = counts.get(first, 0) + 1
    counts.update({"no": 0})
    merges, seen = [["Ċ", "Ċ"]], set()

    def grow(word):
        for i in range(1, len(word)):
            if word[:i + 1] not in seen:
                seen.add(word[:i + 1])
                merges.append([word[:i], word[i]])
    room = VOCAB_SIZE - len(SPECIAL) - 256
    for letter in "abcdefghijklmnopqrstuvwxyz":
        grow("Ġ" + letter)
    for word, n in sorted(counts.items(), key=lambda x: (-x[1] * len(x[0]), x[0])):
        if n < 40:
            continue
        if len(merges) + sum(word[:i + 1] not in seen for i in range(1, len(word))) <= room:
            grow(word)
    vocab = {token: i for i, token in enumerate(SPECIAL)}
    for letter in byte_letters().values():
        vocab[letter] = len(vocab)
    for a, b in merges:
        vocab[a + b] = len(vocab)
    added = [dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special="think" not in t)
             for i, t in enumerate(SPECIAL)]
    byte_level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=False, use_regex=False)
    return dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=dict(type="NFC"),
                pre_tokenizer=dict(type="Sequence", pretokenizers=[
                    dict(type="Split", pattern=dict(Regex=SPLIT), behavior="Isolated", invert=False), byte_level]),
                post_processor=byte_level, decoder=byte_level,
                model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False,
                           byte_fallback=False, vocab=vocab, merges=[" ".join(m) for m in merges]))


def load_tokenizer():
    from tokenizers import Tokenizer
    return Tokenizer.from_str(json.dumps(build_tokenizer()))


if __name__ == "__main__":
    tokenizer, rng = load_tokenizer(), random.Random(5)
    print("vocabulary", tokenizer.get_vocab_size())
    for name in SKILLS:
        items = [problem(rng, name, False) for _ in range(300)]
        sizes = [len(tokenizer.encode(prompt_text(i["prompt"])).ids) for i in items], [len(tokenizer.encode(completion_text(i)).ids) for i in items]
        print(f"--- {name}: prompt {sum(sizes[0]) / 300:.0f} completion {sum(sizes[1]) / 300:.0f} longest {max(map(sum, zip(*sizes)))}")
        print(items[0]["prompt"], "|", items[0]["trace"], "|", items[0]["answer"])
