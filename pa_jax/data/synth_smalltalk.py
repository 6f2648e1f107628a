"""What surrounds preferences in a synthetic dialogue: other requests, replies, openers, fillers.

Templates as in `synth_phrases`; a distractor says nothing about what the user likes.
"""

CODE = """
In {language}, how do I {code_task}? A short example with comments would be enough for me to go on.
My {language} script should {code_task} but it crashes on empty input. What should I check first?
What's the difference between a list and a set in {language}, and when does it matter for speed?
Write a unit test in {language} for a function that's meant to {code_task}, including one edge case.
I get a syntax error on line {a} of my {language} file and I don't see it. What are the usual
    suspects?
Please explain to a beginner how one would {code_task} in {language}, step by step and without
    jargon.
Is there a library for {language} that can {code_task}, or do I have to write it by hand?
Review this idea for me: I want to {code_task} in {language} and cache the result for {a} minutes.
"""

TRANSLATION = """
How do you say "{phrase}" in {tongue}, and is there a more formal way to put it?
Please translate "{phrase}" into {tongue}, with a hint on how it's pronounced.
A colleague from {city} wrote something in {tongue} that looks like "{phrase}". How would I reply?
What's the {tongue} word order in a sentence such as "{phrase}"? I have a class test on {weekday}.
Could you check whether "{phrase}" keeps its meaning when it's translated to {tongue} word for word?
Give me three ways to say "{phrase}" in {tongue}, from very casual to very polite.
"""

FACTS = """
When was {city} founded, and which river or coast is it on? I need it for a quiz on {weekday}.
How far is it from {city} to {city2}, roughly, and how many time zones lie between them?
What's the population of {city} these days, and has it grown or shrunk since {year}?
Does anyone know why {science}? A child asked me and I couldn't give a proper answer on the spot.
Can you explain in plain words why {science}? Two or three sentences are enough.
Who was in charge of the government in {city} around {year}? I'm checking a date in an article.
What does the word "{word}" mean, and where does it come from originally?
I came across "{word}" in a newspaper from {city}. Is it used in the same way everywhere?
Is it true that {science}, or did my {kin} make that up at the dinner table?
What happened in {year} that made the front page in {city}? One or two events will do.
"""

WEATHER = """
What's the weather usually like in {city} in {month}? There's a conference there on a {weekday}.
Does it rain much in {city} around the end of {month}, or is that just a rumour?
How many hours of daylight does {city} get in {month}? It's for a school project.
Will there be a public holiday in {city} on a {weekday} in {month} that closes the offices?
"""

NUMBERS = """
What's {a} percent of {b}, and how would I work that out in my head next time?
A shop takes {a} percent off a price of {b}. What's left to pay, before tax?
Convert {b} kilometres into miles for me, please, rounded to whole numbers. It's for a caption.
If {a} people share a bill of {b} evenly, how much does each of them pay?
How many minutes are there in {a} days? My spreadsheet says one thing, the textbook another.
I need the average of {a}, {b} and {year}, and a one-line explanation of the median as well.
"""

WRITING = """
Please write a two-line reply to {friend} saying that the meeting on {weekday} has moved to {month}.
Fix the grammar in this sentence, please: "{friend} and me was late for the train to {city}."
Give me a subject line for an email to a {job} about an invoice from {month}.
Shorten this for me: "{phrase}, and in addition I wish to inform you that I arrive in {city} on
    {weekday}."
I need a polite reminder for a {job} who hasn't answered since {month}. Three sentences at most.
Make a table with two columns, city and year, and fill in {city}, {city2} and {year} where they fit.
Draft an out-of-office note: away from {weekday}, back in {month}, urgent matters go to {friend}.
What's a good title for a report on {city} written by a {job} for the board?
"""

CHORES = """
How do I get {stain} out of a white tablecloth before guests arrive on {weekday}?
My {device} makes a clicking noise every {a} seconds. What could that be?
Which documents does a {job} need to renew a passport in {city}, and how long does that take?
How do I reset my {device} without losing what's stored on it? The manual is in {tongue}.
Remind me how to tie a bow tie, please. There's a wedding in {city} on {weekday}.
What's the safest way to ship a {device} from {city} to {city2}? It weighs about {a} kilos.
Is there still a ferry or a night train between {city} and {city2} in {month}?
The light on my {device} blinks {a} times and stops. Is there a list of those codes somewhere?
"""

OTHERS = """
{Friend} goes for {v} {w}, apparently. What would be a nice present for someone like that?
My {kin} can't get enough of {v}. Is there a book about {topic} I could wrap up for {month}?
Just out of curiosity, why would anyone choose {v} {w}? I'm only reading up on {topic}.
I'm writing a quiz on {topic} for work. Could you phrase one question with {v} as an answer?
For an article by a {job} in {city}: is {topic} something people argue about? No opinion of my own
    yet.
A {job} I know swears by {v} {w}. Could you summarise what's said for and against it?
Our guest from {city} asked for {v} {w}. How do I let {friend} know politely?
What's the history behind {topic}? A few lines for a newsletter, please, nothing personal.
"""

GROUPS = {
    "code": CODE,
    "translation": TRANSLATION,
    "facts": FACTS,
    "weather": WEATHER,
    "numbers": NUMBERS,
    "writing": WRITING,
    "chores": CHORES,
    "others": OTHERS,
}

REPLIES = {
    "code": """
Sure. The short version is below, with the edge case handled first and a comment on each step.
Start with the smallest input you can think of and print what happens. I can read it with you.
Most people use the standard library of {language} for that; a plain loop works too.
Good question. There's a simple answer for small inputs and a careful one for large ones.
""",
    "translation": """
There are two common ways to put it in {tongue}; the first is what you'd hear in the street.
In {tongue} the verb moves, so a word-for-word version sounds odd. I've written out a natural one.
Happy to. I'd keep it short, native speakers of {tongue} rarely use the long form.
""",
    "facts": """
In short, sources differ a little, so I'd quote a range and name where it comes from.
Good question. There's a well-known explanation and a more careful one; I'd go with the second.
Here's the gist in two sentences, and I can add references if that helps.
I can give you the outline, but please check the exact figures before you print them.
""",
    "weather": """
It varies from year to year in {month}, so treat any single figure with care.
I can tell you about an average {month} in {city}; for this year a local calendar knows better.
""",
    "numbers": """
Let's do it in two steps, first the round part, then the rest. Shall I write the steps out?
Done, with the rounding shown separately so that you can compare it with your own figure.
""",
    "writing": """
Here's a short version; change the names and dates if I got them wrong.
Done. I kept your order of ideas and cut the filler.
See below. Want it a little warmer, or is plain fine?
""",
    "chores": """
There's an easy way and a thorough way. I'd try the easy one first and allow half an hour.
That depends on a detail or two, so here's a general answer and what to look out for.
Short answer below. If it doesn't work out, tell me what you see and we'll go from there.
""",
    "others": """
People do differ on that. I've put the main points in a few lines.
Sure, here's one idea that won't offend anybody.
Happy to. I'd stick to plain facts and keep it friendly.
""",
}

ACKS = """
Got it, I'll work from that. Do you have a date in mind?
Noted. Here are two ideas to start with, one quick and one that takes a bit more planning.
That helps a lot. I'd begin with the simplest thing and see how it goes.
Understood, I'll leave out whatever doesn't fit. First step: block an hour for it in {month}.
Sounds good. I've put together a short outline around that, tell me where it pinches.
Thanks for telling me. For {topic} I'd look at two or three places near {city} first.
Happy to. A rough plan would be: decide on the day, set a budget, then book.
Good to know, that narrows it down nicely. Shall I make it a checklist?
All right. I'd keep it low-key and leave some room for changes.
Makes sense. I'll keep that in mind from here on, also when we get back to {topic}.
Lovely, that gives me something to go on. Is {weekday} still free?
Sure thing. I've drafted three lines you could send to {friend}.
Clear. There's one option that fits without any trade-off, and two that nearly do.
Right, then the choice is easier than it looks. Start small and adjust after a week.
Great, I can do something with that. How many people should I plan for?
"""

CHANGE_ACKS = """
Thanks for the update, I've replaced what I had. Let's look at it afresh.
Consider it changed. I'll go by the new one from now on.
Good that you say so, I'd have suggested the wrong thing. Give me a moment to redo the plan.
Noted, the old entry is gone. Shall I also go over the plan for {month}?
"""

BRIEF_ACKS = """
Got it.
Noted, thanks.
Good to know.
All clear.
That helps.
Will do.
Happy to.
"""

OFFERS = """
{question} For instance: {options}.
Before I go on, a quick question. {question} I'm thinking of {options}.
To get {topic} right for you, which of these comes closest {w}: {options}?
Let me ask something. {question} Choose from {options}.
There are a few ways to go {w}: {options}. Which one is you?
The usual choices {w} are {options}. What do you say?
"""

OPENERS = {
    "terse": "",
    "chatty": """
Hi again! Hope you've had a good {weekday}.
Hello there, me again.
Good morning! Coffee in hand, so let's get going.
Okay, so, picture me on the bus to {city} typing this.
Right, where were we?
Phew, what a {weekday}.
Happy {weekday}!
Guess who's back.
Greetings from rainy {city}!
Me again, {friend} says hello.
""",
    "polite": """
Good afternoon.
Hello, I hope you don't mind another question.
Thank you for the help last time.
Good evening, and thanks in advance.
""",
    "casual": """
hey,
alright,
listen,
hey there.
so,
ok,
quick one.
""",
}

CLOSERS = {
    "terse": """
Keep it short, please.
No rush.
A few lines will do.
""",
    "chatty": """
No hurry at all, I'm stuck on a train to {city} anyway.
Sorry for the long message, it's been one of those days.
Can't wait to hear what you come up with!
I'll tell {friend} you said so.
Anyway, enough about my {weekday}.
""",
    "polite": """
Thank you very much for your time.
Many thanks, and please take your time.
I'd be grateful for a brief answer.
I'd appreciate it very much.
""",
    "casual": """
thanks a bunch!
no stress if it takes a while.
you're the best.
cheers, talk soon.
""",
}

FILLERS = {
    "city": "Lisbon Leeds Toronto Ghent Nairobi Osaka Tampere Krakow Boston Valencia Utrecht Graz "
    "Dublin Adelaide Lyon Bergen Seoul Tucson Malmö Bristol Porto Montreal Basel Quito",
    "month": "January February March April May June July August September October November "
    "December",
    "weekday": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "friend": "Priya Tom Marta Jonas Aisha Leo Ingrid Kofi Mei Sam Elena Hugo Noor Ben Yuki Carla",
    "kin": "sister|brother|mother|father|cousin|aunt|uncle|grandmother|grandfather|godmother",
    "job": "nurse|teacher|carpenter|bookkeeper|paramedic|gardener|librarian|chemist|tram driver|"
    "translator|welder|vet|planner|sound engineer|baker|surveyor|tutor|receptionist",
    "language": "Python Rust Java Go Kotlin Ruby Swift Julia Haskell TypeScript",
    "code_task": "sort dates in two formats|read a large file line by line|merge two dictionaries|"
    "remove duplicate rows|parse a nested config file|retry a failed download|count words|"
    "resize a folder of images|draw a simple bar chart|validate an email address|"
    "match brackets in a string|send a message at noon",
    "tongue": "Spanish Finnish Turkish Japanese Dutch Polish Swahili Korean Greek Italian Welsh",
    "phrase": "where is the nearest pharmacy|the meeting starts at nine|I lost my umbrella|"
    "the key is under the mat|we will be ten minutes late|could you repeat that slowly|"
    "please sign at the bottom|the lift is out of order|thank you for the flowers|"
    "my luggage has not arrived|congratulations on the new baby|is this seat taken",
    "science": "the sky turns red at sunset|bread dough rises|ice floats on water|cats purr|"
    "leaves change colour|the sea tastes salty|magnets lose their strength|stars seem to twinkle|"
    "onions make people cry|metal feels colder than wood|bees dance|thunder follows lightning",
    "word": "serendipity palimpsest ombudsman gerrymander quarantine boycott vernacular algorithm "
    "sabotage nostalgia bungalow umami zeitgeist maverick",
    "device": "router|dishwasher|printer|washing machine|e-reader|thermostat|doorbell|scanner|"
    "kettle|shaver",
    "stain": "red wine|candle wax|beetroot|ink|turmeric|grass|coffee|rust",
}
