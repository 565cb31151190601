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
    ask = rng.choice(["What is {a} + {b}?", "{a} + {b}", "{a}+{b}=?", "What is {a} plus {b}?", "Add {a} and {b}.", "How much is {a} plus {b}?",
                      "Compute {a} + {b}.", "What is the sum of {a} and {b}?", "Calculate {a}+{b}", "What do you get if you add {b} to {a}?",
                      "Work out {a} + {b}.", "I need the total of {a} and {b}."])
    return ask, dict(a=a, b=b), work, str(value)


def skill_subtract(rng, held_out):
    while True:
        a, b = number(rng, rng.choice((2, 3, 3, 4))), number(rng, rng.choice((1, 2, 3, 3, 4)))
        if a >= b and is_held_out(f"sub {a} {b}") == held_out:
            break
    value, work = subtract(a, b)
    ask = rng.choice(["What is {a} - {b}?", "{a} - {b}", "{a}-{b}=?", "What is {a} minus {b}?", "Subtract {b} from {a}.",
                      "How much is {a} minus {b}?", "Compute {a} - {b}.", "Calculate {a}-{b}", "Take {b} away from {a}.",
                      "What is the difference between {a} and {b}?", "Work out {a} - {b}."])
    return ask, dict(a=a, b=b), work, str(value)


def skill_multiply(rng, held_out):
    while True:
        a, b = (number(rng, rng.choice((2, 2, 3, 4))), rng.randrange(2, 10)) if rng.random() < 0.6 else (number(rng, 2), number(rng, 2))
        if is_held_out(f"mul {a} {b}") == held_out:
            break
    value, work = multiply(a, b)
    ask = rng.choice(["What is {a} * {b}?", "{a} * {b}", "{a}*{b}=?", "What is {a} times {b}?", "Multiply {a} by {b}.", "How much is {a} times {b}?",
                      "Compute {a} x {b}.", "What is the product of {a} and {b}?", "Calculate {a}*{b}", "Work out {a} x {b}."])
    return ask, dict(a=a, b=b), work, str(value)


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
    if rng.random() < 0.5:
        ask = rng.choice(["Which is {w}, {a} or {b}?", "Which number is {w}: {a} or {b}?", "What is {w}, {a} or {b}?", "{a} or {b}, which is {w}?",
                          "Tell me which is {w}: {a} or {b}"])
        w = rng.choice(["larger", "bigger", "greater"] if wants_larger else ["smaller", "less"])
    else:
        ask = rng.choice(["Compare {a} and {b}. Which one is {w}?", "Of {a} and {b}, which is {w}?", "Is {a} or {b} {w}?", "Pick the {w} number: {a}, {b}"])
        w = rng.choice(["larger", "bigger"] if wants_larger else ["smaller"])
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
    ask = rng.choice(["How many {c}'s are in {w}?", "How many {c}'s are there in the word {w}?", "How many times does the letter {c} appear in {w}?",
                      "Count the letter {c} in {w}.", "How many {c}s are in \"{w}\"?", "In the word {w}, how many {c}'s are there?",
                      "Count the {c}'s in {w}", "How often does {c} occur in \"{w}\"?", "How many letters {c} does {w} have?"])
    return ask, dict(c=letter, w=word), f"{letter}:{spelled}\n", str(count)


def skill_reverse(rng, held_out):
    word = draw_word(rng, held_out, 9)
    forward = "".join(f"{c}{i + 1}" for i, c in enumerate(word))
    backward = "".join(f"{i + 1}{word[i]}" for i in reversed(range(len(word))))
    ask = rng.choice(["Reverse the word {w}.", "Reverse {w}", "Spell {w} backwards.", "What is {w} backwards?", "Write the word {w} backwards.",
                      "What is \"{w}\" spelled backwards?", "Reverse the letters of {w}.", "Turn the word \"{w}\" around.", "How do you write {w} in reverse?"])
    return ask, dict(w=word), f"{forward}\n{backward}\n", word[::-1]


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
    ask = rng.choice(["Sort {l}", "Sort these numbers: {l}", "Sort the numbers {l}.", "Put {l} in order.", "Put these numbers in order: {l}",
                      "Order {l}.", "Arrange {l}."]) if not is_down and rng.random() < 0.4 else rng.choice(
        ["Sort {l} from {o}.", "Put {l} in order from {o}.", "Sort these numbers from {o}: {l}", "Arrange {l} from {o}.", "List {l} from {o}."])
    order = rng.choice(["largest to smallest", "high to low", "biggest to smallest"] if is_down else ["smallest to largest", "low to high", "smallest to biggest"])
    return ask, dict(l=", ".join(map(str, items)), o=order), ("down" if is_down else "up") + "\n" + "\n".join(lines) + "\n", \
        ", ".join(map(str, sorted(items, reverse=is_down)))


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
    ask = rng.choice(["What is {a} mod {m}?", "{a} mod {m}", "What is the remainder when {a} is divided by {m}?", "{a} % {m} = ?", "Compute {a} mod {m}.",
                      "What is left over when you divide {a} by {m}?", "Find the remainder of {a} divided by {m}.", "Divide {a} by {m}. What is the remainder?"])
    return ask, dict(a=a, m=m), f"{a}/{m}\n" + "\n".join(steps) + "\n", str(rest)


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
    parts = ([f"{hours} hour" + "s" * (hours > 1)] if hours else []) + ([f"{minutes} minutes"] if minutes else [])
    span = " and ".join(parts)
    ask = rng.choice(["What time is it {s} before {t}?", "It is {t}. What time was it {s} ago?", "What time was it {s} before {t}?",
                      "The clock shows {t}. What did it show {s} earlier?"] if is_back else
                     ["What time is it {s} after {t}?", "It is {t}. What time will it be in {s}?", "A train leaves at {t} and takes {s}. When does it arrive?",
                      "The clock shows {t}. What will it show {s} later?", "I start at {t} and work for {s}. When am I done?"])
    return ask, dict(t=f"{hour}:{minute:02}", s=span), work, f"{h}:{m:02}"


NAMES = "Tom Ann Ben Mia Sam Eva Leo Ida Max Zoe Jan Amy".split()
THINGS = "apples pens books coins cards cakes eggs stamps shells toys cups balls".split()
GAIN = ["{n} buys {k} more", "{n} finds {k} more", "{n} gets {k} from {o}", "{o} gives {n} {k} more"]
LOSE = ["{n} gives {k} to {o}", "{n} loses {k}", "{n} sells {k}", "{o} takes {k} of them"]
OPENINGS = ["{n} has {k} {t}.", "{n} starts with {k} {t}.", "There are {k} {t} on {n}'s table."]
BOXES = ["{n} has {b} boxes with {k} {t} in each.", "{n} buys {b} bags of {k} {t}.", "{n} packs {k} {t} into each of {b} boxes."]
ASKS = ["How many {t} does {n} have now?", "How many {t} are left?", "How many {t} are there in the end?", "How many does {n} have?"]


def skill_story(rng, held_out):
    while True:
        n_steps, numbers, work, said = rng.choice((2, 2, 3)), [], "", []
        name, other = rng.sample(NAMES, 2)
        thing = rng.choice(THINGS)
        if rng.random() < 0.4:
            value, b = rng.randrange(2, 31), rng.randrange(2, 10)
            said.append(rng.choice(BOXES).format(n=name, b=b, k=value, t=thing))
            numbers += [value, b]
            value, text = multiply(value, b)
            work += text
            n_steps -= 1
        else:
            value = rng.randrange(5, 90)
            said.append(rng.choice(OPENINGS).format(n=name, k=value, t=thing))
            numbers.append(value)
        events = []
        for _ in range(n_steps):
            is_gain = value < 8 or rng.random() < 0.5
            k = rng.randrange(2, 60) if is_gain else rng.randrange(2, value)
            events.append(rng.choice(GAIN if is_gain else LOSE).format(n=name, o=other, k=k))
            numbers.append(k if is_gain else -k)
            value, text = (add if is_gain else subtract)(value, k)
            work += text
        if is_held_out("story " + " ".join(map(str, numbers))) == held_out:
            break
    joined = rng.choice([". ".join(events) + ".", " and then ".join(events) + ".", "Then " + ". Then ".join(events) + "."])
    return " ".join(said + [joined, rng.choice(ASKS).format(n=name, t=thing)]), {}, work, str(value)


SUBJECTS = ("France Spain Japan Rome London physics history music football cooking poetry love war peace politics the_moon the_sun the_sea "
            "the_weather dogs cats horses birds whales trees flowers Mars gravity atoms cells money banks taxes jobs school art paint films "
            "games cars planes ships trains robots computers phones the_internet bread wine coffee tea cheese health sleep dreams stars rivers "
            "mountains islands deserts kings queens Paris Berlin Africa Europe Asia winter summer chess guitars pianos dance fashion law").split()
REFUSED = ["What is the capital of {x}?", "Tell me about {x}.", "Write a poem about {x}.", "Write a story about {x}", "What do you think of {x}?", "Who invented {x}?",
           "Explain {x} to me.", "Why is {x} so important?", "Give me news about {x}.", "How do I learn about {x}?", "Translate {x} into French.", "Do you like {x}?",
           "Tell me a joke about {x}.", "Write code for {x}.", "What is the history of {x}?", "Should I buy {x}?", "What is the best book about {x}?"]


def skill_refuse(rng, held_out):
    if not held_out and rng.random() < 0.1:
        ask, subject = rng.choice(["Hello", "Hi!", "Who are you?", "How are you?", "Good morning", "What can you do?", "Help me.", "Thanks"]), ""
    else:
        while True:
            ask, subject = rng.choice(REFUSED), rng.choice(SUBJECTS)
            if is_held_out("refuse " + subject) == held_out:
                break
    return ask, dict(x=subject.replace("_", " ")), "no sum, no word puzzle\n", REFUSAL


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
        text = rng.choice(["Please: ", "Hi! ", "Hey, ", "Can you help? ", "Quick question: ", "please ", "Hello, "]) + text
    if rng.random() < 0.08:
        text += rng.choice([" Thanks!", " Thank you.", " please", " Please."])
    return text


def problem(rng, skill, held_out):
    ask, values, work, answer = SKILLS[skill](rng, held_out)
    if skill != "story":
        ask = rough(rng, ask).format(**values)
    return dict(skill=skill, prompt=ask, trace=work, answer=answer)


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
