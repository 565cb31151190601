# SPDX-License-Identifier: Apache-2.0
"""How people ask: the wordings of every skill's question, and the little stories. Only words; what they ask is reasoner_data.py's."""

ADD = ["What is {a} + {b}?", "{a} + {b}", "{a}+{b}=?", "{a}+{b}", "What is {a} plus {b}?", "Add {a} and {b}.", "How much is {a} plus {b}?",
       "Compute {a} + {b}.", "What is the sum of {a} and {b}?", "Calculate {a}+{b}", "What do you get if you add {b} to {a}?",
       "Work out {a} + {b}.", "I need the total of {a} and {b}.", "What's {a} + {b}?", "What does {a} + {b} equal?", "{a} plus {b} equals what?",
       "{a} plus {b}", "Find the sum of {a} and {b}.", "Add {b} to {a}", "How much do {a} and {b} make together?", "Sum up {a} and {b}",
       "{a} and {b}, added together?", "Tell me {a} + {b}", "If I add {a} and {b}, what do I get?", "Put {a} and {b} together. What is the total?",
       "What number is {b} more than {a}?", "I have {a} and {b}. What is the sum?", "what comes out of {a} + {b}", "Total of {a} and {b}?",
       "My two bills are {a} and {b}. How much is that altogether?", "Increase {a} by {b}.", "Could you add up {a} and {b} for me?"]

SUBTRACT = ["What is {a} - {b}?", "{a} - {b}", "{a}-{b}=?", "{a}-{b}", "What is {a} minus {b}?", "Subtract {b} from {a}.", "How much is {a} minus {b}?",
            "Compute {a} - {b}.", "Calculate {a}-{b}", "Take {b} away from {a}.", "What is the difference between {a} and {b}?", "Work out {a} - {b}.",
            "What's {a} - {b}?", "What does {a} - {b} equal?", "{a} minus {b}", "{a} minus {b} equals what?", "Take {b} from {a}", "{a} take away {b}",
            "What is left if I take {b} from {a}?", "Find the difference of {a} and {b}.", "If I subtract {b} from {a}, what do I get?",
            "How much bigger is {a} than {b}?", "Deduct {b} from {a}.", "Tell me {a} - {b}", "What number is {b} less than {a}?", "Decrease {a} by {b}.",
            "By how much is {a} more than {b}?", "I had {a} and spent {b}. What remains?", "{a} less {b}?", "How far is it from {b} to {a}?",
            "Start at {a} and go down {b}. Where am I?", "What must I add to {b} to get {a}?"]

MULTIPLY = ["What is {a} * {b}?", "{a} * {b}", "{a}*{b}=?", "{a}*{b}", "{a} x {b}", "What is {a} times {b}?", "Multiply {a} by {b}.", "How much is {a} times {b}?",
            "Compute {a} x {b}.", "What is the product of {a} and {b}?", "Calculate {a}*{b}", "Work out {a} x {b}.", "What's {a} x {b}?",
            "What does {a} * {b} equal?", "{a} times {b}", "{a} times {b} equals what?", "Multiply {a} and {b}", "Find the product of {a} and {b}.",
            "If I multiply {a} by {b}, what do I get?", "{a} multiplied by {b}", "What is {a} multiplied by {b}?", "Tell me {a} x {b}", "What is {a}x{b}?",
            "How much are {b} lots of {a}?", "product of {a} and {b}?", "I need {a} times {b}.", "One costs {a}. What do {b} cost?",
            "{b} rows of {a} seats, how many seats?", "What do you get when you multiply {a} with {b}?", "Take {a} and multiply it by {b}."]

COMPARE = ["Which is {w}, {a} or {b}?", "Which number is {w}: {a} or {b}?", "What is {w}, {a} or {b}?", "{a} or {b}, which is {w}?", "What's {w}: {a} or {b}?",
           "Tell me which is {w}: {a} or {b}", "Which one is {w}, {a} or {b}?", "{a} vs {b}, which is {w}?", "Compare {a} and {b}. Which one is {w}?",
           "Of {a} and {b}, which is {w}?", "Is {a} or {b} {w}?", "Which of {a} and {b} is {w}?", "Between {a} and {b}, which is {w}?",
           "Which is {w}: {a} or {b}?", "Which number is {w}, {a} or {b}?", "{a} and {b}: which one is {w}?", "I have {a} and {b}. Which of them is {w}?",
           "Which one of these is {w}: {a}, {b}?", "{w}: {a} or {b}?", "Say which is {w}, {a} or {b}.", "Is it {a} or {b} that is {w}?",
           "Which value is {w}, {a} or {b}?", "My friend says {a}, I say {b}. Which is {w}?", "Out of {a} and {b} which number is {w}?"]
COMPARE_THE = ["Pick the {w} number: {a}, {b}", "What is the {w} of {a} and {b}?", "Which is the {w} number, {a} or {b}?", "Which is the {w} one, {a} or {b}?",
               "Give me the {w} of the two: {a} and {b}", "Tell me the {w} number: {a} or {b}", "Find the {w} of {a} and {b}.", "{a} or {b}, what is the {w} number?",
               "Choose the {w} one: {a} or {b}", "Name the {w} of these two numbers: {a}, {b}"]
LARGER, SMALLER = ["larger", "bigger", "greater", "higher", "more"], ["smaller", "less", "lower"]
THE_LARGER, THE_SMALLER = ["larger", "bigger", "greater", "higher"], ["smaller", "lower"]

COUNT = ["How many {c}'s are in {w}?", "How many {c}'s are there in the word {w}?", "How many times does the letter {c} appear in {w}?",
         "Count the letter {c} in {w}.", "How many {c}s are in \"{w}\"?", "In the word {w}, how many {c}'s are there?", "Count the {c}'s in {w}",
         "How often does {c} occur in \"{w}\"?", "How many letters {c} does {w} have?", "How many {c}'s in {w}?", "How many {c} are in {w}?",
         "How many {c} letters are there in {w}?", "How many times is {c} in {w}?", "What is the number of {c}'s in {w}?", "number of {c} in {w}",
         "How many times does {c} show up in the word \"{w}\"?", "Tell me how many {c}'s {w} has.", "{w}: how many {c}'s?", "Count {c} in {w}",
         "The word {w} has how many {c}'s?", "How many {c}'s does the word '{w}' contain?", "How often is the letter {c} used in {w}?",
         "If you spell {w}, how many {c}'s do you write?", "how many '{c}' in '{w}'", "I spell {w}. How many {c}'s do I need?",
         "Does {w} have any {c}'s, and how many?", "Look at the word {w} and count the {c}'s.", "How frequently does {c} come up in {w}?",
         "How many of the letters in {w} are {c}?", "what's the count of {c} in {w}?"]

REVERSE = ["Reverse the word {w}.", "Reverse {w}", "Spell {w} backwards.", "What is {w} backwards?", "Write the word {w} backwards.", "{w} backwards",
           "What is \"{w}\" spelled backwards?", "Reverse the letters of {w}.", "Turn the word \"{w}\" around.", "How do you write {w} in reverse?",
           "Write {w} in reverse.", "What is the reverse of {w}?", "How do you spell {w} backwards?", "Spell the word {w} in reverse order.", "What's {w} backwards?",
           "Give me {w} backwards", "Flip the word {w}.", "What does {w} look like backwards?", "Read {w} from right to left.", "{w} reversed?",
           "What do you get if you reverse {w}?", "Say \"{w}\" backwards", "Write '{w}' from back to front.", "Reverse this word: {w}", "Spell this backwards: {w}",
           "{w}, but backwards?", "Take the word {w} and turn it around.", "How would {w} be written backwards?", "Put the letters of {w} in reverse order.",
           "What word do I get when I read {w} from the end?", "backwards please: {w}", "Mirror the word {w}."]

SORT = ["Sort {l}", "Sort these numbers: {l}", "Sort the numbers {l}.", "Put {l} in order.", "Put these numbers in order: {l}", "Order {l}.", "Arrange {l}.",
        "Sort this list: {l}", "What is {l} in order?", "Arrange these numbers: {l}", "Please sort {l}", "Here are some numbers: {l}. Sort them.",
        "I have {l}. Put them in order.", "Can you order these: {l}", "{l} sorted?", "Bring {l} into order."]
SORT_TOWARDS = ["Sort {l} from {o}.", "Put {l} in order from {o}.", "Sort these numbers from {o}: {l}", "Arrange {l} from {o}.", "List {l} from {o}.",
                "Order these from {o}: {l}", "Put these numbers from {o}: {l}", "{l}: sort from {o}", "Rank {l} from {o}.", "Write {l} from {o}.",
                "Here are some numbers: {l}. Order them from {o}."]
SORT_ORDERED = ["Sort {l} in {d} order.", "Put {l} in {d} order.", "Sort these numbers in {d} order: {l}", "Arrange {l} in {d} order", "List {l} in {d} order.",
                "{d} order: {l}", "Sort {l} {d}", "Write these in {d} order: {l}"]
SORT_FIRST = ["Sort {l}, {f} first.", "Put {l} in order, {f} first.", "Order these numbers with the {f} first: {l}", "{f} first: {l}", "List {l} with the {f} first."]
UP = dict(o=["smallest to largest", "low to high", "smallest to biggest", "least to greatest", "lowest to highest", "small to big"],
          d=["ascending", "increasing", "rising"], f=["smallest", "lowest"])
DOWN = dict(o=["largest to smallest", "high to low", "biggest to smallest", "greatest to least", "highest to lowest", "big to small"],
            d=["descending", "decreasing", "falling"], f=["largest", "biggest", "highest"])

MODULO = ["What is {a} mod {m}?", "{a} mod {m}", "What is the remainder when {a} is divided by {m}?", "{a} % {m} = ?", "Compute {a} mod {m}.",
          "What is left over when you divide {a} by {m}?", "Find the remainder of {a} divided by {m}.", "Divide {a} by {m}. What is the remainder?",
          "{a} modulo {m}", "What is {a} % {m}?", "What's the remainder of {a} divided by {m}?", "What remainder does {a} leave when divided by {m}?",
          "If I divide {a} by {m}, what remains?", "Remainder of {a} / {m}?", "What is the rest when {a} is divided by {m}?", "{a}%{m}",
          "Calculate the remainder: {a} divided by {m}", "How much is left over if {a} is split into groups of {m}?", "Work out {a} modulo {m}.",
          "What is {a} modulo {m}?", "When {a} is divided by {m}, what is the remainder?", "I share {a} sweets among {m} kids. How many are left over?",
          "{a} eggs go into boxes of {m}. How many eggs are left over?", "Tell me the remainder after dividing {a} by {m}.",
          "What remains of {a} after taking out {m} as often as possible?", "{a} divided by {m} leaves what remainder?"]

CLOCK_BACK = ["What time is it {s} before {t}?", "It is {t}. What time was it {s} ago?", "What time was it {s} before {t}?",
              "The clock shows {t}. What did it show {s} earlier?", "{s} before {t}", "What is {t} minus {s}?", "It's {t} now. What time was it {s} ago?",
              "If it is {t}, what time was it {s} earlier?", "I arrived at {t} after {s}. When did I leave?", "What time is {s} earlier than {t}?",
              "The film ended at {t} and lasted {s}. When did it start?", "Go back {s} from {t}.", "Dinner is at {t} and cooking takes {s}. When must I begin?",
              "{t}, but {s} earlier. What time is that?", "I have been waiting for {s} and it is {t}. Since when?", "My bus left {s} before {t}. When was that?"]
CLOCK_ON = ["What time is it {s} after {t}?", "It is {t}. What time will it be in {s}?", "A train leaves at {t} and takes {s}. When does it arrive?",
            "The clock shows {t}. What will it show {s} later?", "I start at {t} and work for {s}. When am I done?", "{s} after {t}", "What is {t} plus {s}?",
            "It's {t} now. What time is it in {s}?", "If it is {t} now, what time will it be {s} later?", "What's the time {s} from {t}?",
            "The film starts at {t} and lasts {s}. When does it end?", "Add {s} to {t}.", "My bus leaves {s} after {t}. When is that?",
            "I put the cake in at {t} for {s}. When do I take it out?", "School begins at {t} and goes on for {s}. When is it over?",
            "We meet {s} after {t}. At what time?", "{t}, then {s} later. What time is that?", "A game begins at {t}. It runs {s}. What time does it finish?",
            "I left at {t} and drove for {s}. What time did I get there?", "Now it is {t}. When will {s} have passed?"]

NAMES = ("Tom Ann Ben Mia Sam Eva Leo Ida Max Zoe Jan Amy John Mary Sarah Paul Lisa Mike Emma Jack Anna Peter Lucy David Kate Bob Alice Carlos Priya "
         "Omar Nina Tim Julia Maria Oliver Grace Henry Chloe Ravi Yuki").split()
HE = set("Tom Ben Sam Leo Max Jan John Paul Mike Jack Peter David Bob Carlos Omar Tim Oliver Henry Ravi".split())
WHO = ["A farmer", "A shop", "A baker", "The teacher", "My brother", "My sister", "A boy", "A girl", "The school", "A library", "My mother", "A man"]
THINGS = ("apples pens books coins cards cakes eggs stamps shells toys cups balls cookies candies marbles pencils oranges stickers flowers dollars "
          "chairs bottles muffins tickets sweets stones cars dolls plates bananas points euros sheep birds balloons photos").split()
OPENINGS = ["{n} has {k} {t}.", "{n} starts with {k} {t}.", "There are {k} {t} on {n}'s table.", "{n} had {k} {t}.", "{n} owns {k} {t}.", "{n} found {k} {t}.",
            "{n} bought {k} {t}.", "At first {n} has {k} {t}.", "{n} started with {k} {t}.", "There are {k} {t} in {n}'s bag.", "{n} collected {k} {t}.",
            "{n} got {k} {t} as a present.", "{n} has a box with {k} {t}.", "There were {k} {t} in {n}'s room."]
BOXES = ["{n} has {b} boxes with {k} {t} in each.", "{n} buys {b} bags of {k} {t}.", "{n} packs {k} {t} into each of {b} boxes.", "{n} has {b} boxes of {k} {t} each.",
         "{n} has {b} boxes. Each box has {k} {t}.", "{n} has {b} bags, and each bag holds {k} {t}.", "There are {b} boxes with {k} {t} each on {n}'s table.",
         "{n} bought {b} packs of {k} {t}.", "{n} owns {b} shelves with {k} {t} on every one.", "{n} fills {b} boxes with {k} {t} each.",
         "{n} got {b} packets, each with {k} {t}.", "{n} puts {k} {t} in each of {b} baskets."]
# (now, before); the giver and taker {o} is another person.
GAIN = [("buys {k} more", "bought {k} more"), ("finds {k} more", "found {k} more"), ("gets {k} from {o}", "got {k} from {o}"), ("gets {k} more", "got {k} more"),
        ("receives {k} from {o}", "received {k} from {o}"), ("picks {k} more", "picked {k} more"), ("is given {k} more", "was given {k} more"),
        ("makes {k} more", "made {k} more"), ("wins {k}", "won {k}"), ("collects another {k}", "collected another {k}"), ("buys another {k}", "bought another {k}"),
        ("adds {k}", "added {k}"), ("earns {k} more", "earned {k} more"), ("takes {k} from {o}", "took {k} from {o}")]
LOSE = [("gives {k} to {o}", "gave {k} to {o}"), ("loses {k}", "lost {k}"), ("sells {k}", "sold {k}"), ("gives away {k}", "gave away {k}"), ("eats {k}", "ate {k}"),
        ("uses {k} of them", "used {k} of them"), ("breaks {k}", "broke {k}"), ("throws away {k}", "threw away {k}"), ("drops {k} of them", "dropped {k} of them"),
        ("gives {o} {k}", "gave {o} {k}"), ("spends {k}", "spent {k}"), ("sends {k} to {o}", "sent {k} to {o}"), ("donates {k}", "donated {k}"),
        ("shares {k} with {o}", "shared {k} with {o}"), ("leaves {k} behind", "left {k} behind")]
GIVEN = [("{o} gives {n} {k} more", "{o} gave {n} {k} more"), ("{o} brings {k} more", "{o} brought {k} more"), ("{o} adds {k}", "{o} added {k}"),
         ("{k} more arrive", "{k} more arrived")]
TAKEN = [("{o} takes {k} of them", "{o} took {k} of them"), ("{k} of them break", "{k} of them broke"), ("{k} get lost", "{k} got lost"),
         ("{o} eats {k} of them", "{o} ate {k} of them"), ("{k} are sold", "{k} were sold"), ("{o} buys {k} from {n}", "{o} bought {k} from {n}"),
         ("{o} steals {k}", "{o} stole {k}")]
ASKS = ["How many {t} does {n} have now?", "How many {t} are left?", "How many {t} are there in the end?", "How many does {n} have?", "How many {t} does {h} have now?",
        "How many are left?", "How many {t} does {n} have left?", "How many {t} does {h} have in the end?", "How many {t} remain?", "How many {t} are there now?",
        "What does {n} have now?", "How many {t} is that?", "How many does {h} have left?", "How many now?", "So how many {t} does {n} have?",
        "How many {t} has {n} got?", "How many {t} does that leave?", "How many {t} does {n} end up with?", "What is the number of {t} now?", "How many remain?",
        "How many {t} did {n} have at the end?", "What's the total now?"]


def tell_story(rng, start, box, changes):
    """A story of `start` things, or of `box` times `start` when box is not None, then each change (signed), then the question."""
    is_named = rng.random() < 0.8
    name, other = rng.sample(NAMES, 2)
    if not is_named:
        name = rng.choice(WHO)
    inner = name if is_named else name[0].lower() + name[1:]
    they = ("he" if name in HE else "she") if is_named else rng.choice(["it", "they"]) if name.split()[-1] in ("shop", "school", "library") else \
        "she" if name.split()[-1] in ("sister", "girl", "mother") else "he"
    if not is_named:
        inner = "the " + inner[2:] if inner.startswith("a ") else inner
    thing, tense = rng.choice(THINGS), rng.random() < 0.5
    opening = rng.choice(OPENINGS if box is None else BOXES).format(n=name, k=start, t=thing, b=box)
    if not is_named:  # A place or a bag of somebody unnamed reads better as his own.
        opening = opening.replace("in " + name + "'s", "in " + inner + "'s").replace("on " + name + "'s", "on " + inner + "'s").replace("At first " + name, "At first " + inner)
    parts = []
    for change in changes:
        k = abs(change)
        if rng.random() < 0.72:
            text = rng.choice(GAIN if change > 0 else LOSE)[tense]
            subject = rng.choice([inner, they, they, ""])
            parts.append((subject, text.format(k=k, o=other, n=inner)))
        else:
            parts.append((None, rng.choice(GIVEN if change > 0 else TAKEN)[tense].format(k=k, o=other, n=inner)))
    text, style = opening, rng.random()
    for i, (subject, part) in enumerate(parts):
        spoken = part if subject is None else f"{subject or they} {part}"
        is_bare = subject == "" and text[-1] == "." and (parts[i - 1][0] is not None if i else opening.startswith(name))
        joined = f"{part}" if is_bare else spoken
        pick = rng.random() if style < 0.7 else 0.95
        if pick < 0.35:
            text = text[:-1] + rng.choice([" and ", ", then ", " and then ", ", ", " and later "] if is_bare else [" and ", ", then ", " and then ", ", but ", ", and "]) + joined + "."
        elif pick < 0.6:
            text += " " + rng.choice(["Then ", "After that, ", "Later ", "Next, ", "Now ", "Then "]) + spoken + "."
        else:
            text += " " + spoken[0].upper() + spoken[1:] + "."
    ask = rng.choice(ASKS).format(n=inner, t=thing, h=they if they != "they" else inner)
    return text + " " + ask


def tell_pair(rng, a, b, is_sum):
    """Two people's things together, or how many more the first has (a >= b then)."""
    (n, o), t = rng.sample(NAMES, 2), rng.choice(THINGS)
    if is_sum:
        return rng.choice(["{n} has {a} {t}. {o} has {b} {t}. How many {t} do they have together?", "{n} has {a} {t} and {o} has {b}. How many do they have in total?",
                           "If {n} has {a} {t} and {o} has {b} {t}, how many {t} are there altogether?", "{n} picked {a} {t} and {o} picked {b}. How many {t} in all?",
                           "There are {a} {t} in one box and {b} in another. How many {t} are there in total?"]).format(n=n, o=o, t=t, a=a, b=b)
    return rng.choice(["{n} has {a} {t}. {o} has {b}. How many more {t} does {n} have than {o}?", "{o} has {b} {t} and {n} has {a}. How many more does {n} have?",
                       "There are {a} {t} and {b} of them are red. How many {t} are not red?", "{n} needs {a} {t} and has {b}. How many more does {n} need?",
                       "{n} has {a} {t}, which is more than {o}, who has {b}. By how many?"]).format(n=n, o=o, t=t, a=a, b=b)


SUBJECTS = ("France Spain Japan Rome London physics history music football cooking poetry love war peace politics the_moon the_sun the_sea "
            "the_weather dogs cats horses birds whales trees flowers Mars gravity atoms cells money banks taxes jobs school art paint films "
            "games cars planes ships trains robots computers phones the_internet bread wine coffee tea cheese health sleep dreams stars rivers "
            "mountains islands deserts kings queens Paris Berlin Africa Europe Asia winter summer chess guitars pianos dance fashion law "
            "Shakespeare Einstein Napoleon Canada Brazil China India Egypt Germany Italy Australia dinosaurs volcanoes black_holes climate_change my_boss "
            "the_president inflation photosynthesis democracy religion philosophy evolution the_stock_market Python Java good_manners a_headache").split()
REFUSED = ["What is the capital of {x}?", "Tell me about {x}.", "Write a poem about {x}.", "Write a story about {x}", "What do you think of {x}?", "Who invented {x}?",
           "Explain {x} to me.", "Why is {x} so important?", "Give me news about {x}.", "How do I learn about {x}?", "Translate {x} into French.", "Do you like {x}?",
           "Tell me a joke about {x}.", "Write code for {x}.", "What is the history of {x}?", "Should I buy {x}?", "What is the best book about {x}?",
           "Who wrote about {x}?", "When did {x} begin?", "Where can I find {x}?", "How does {x} work?", "What is {x}?", "Can you recommend {x}?",
           "Write an email to my boss about {x}.", "Summarize {x} in one sentence.", "What colour is {x}?", "How do you say {x} in Spanish?", "Is {x} dangerous?",
           "Write a song about {x}", "What is the population of {x}?", "Who was the first to see {x}?", "What is the meaning of {x}?", "Give me advice on {x}.",
           "How old is {x}?", "Write a Python function for {x}.", "Which is better, {x} or {y}?", "Plan a trip to {x}.", "What rhymes with {x}?",
           "What is a synonym for {x}?", "How far away is {x}?", "What should I do about {x}?", "Who is the king of {x}?", "Describe {x}."]
REFUSED_SUMS = ["What is the square root of {k}?", "What is {k} divided by {j}?", "Divide {k} by {j}.", "What is {k} squared?", "What is {j} percent of {k}?", "{k} / {j}",
                "Is {k} a prime number?", "What are the factors of {k}?", "Solve x + {k} = {j} * x", "What is half of {k}?", "What is the log of {k}?",
                "Convert {k} to binary.", "What is {j}/{k} + {k}/{j}?", "What is the average of {k} and {j}?", "sqrt({k})", "How many miles are {k} km?"]
CHAT = ["Hello", "Hi!", "Who are you?", "How are you?", "Good morning", "What can you do?", "Help me.", "Thanks", "Hey", "What is your name?", "Are you human?",
        "Tell me something.", "I am bored.", "What day is it today?", "What should I eat?", "Good night", "Sing a song.", "How was your day?"]
