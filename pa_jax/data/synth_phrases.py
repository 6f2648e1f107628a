"""Wordings in which a synthetic user shows a preference.

A template a line; an indented line goes on with the one before. Every fourth template of a list is
held out: it is used for "heldout" users and by nobody else.

v, w       the value and its situation ("window seats", "when flying"); W is w with a capital
r          a reason, or nothing
ask, Ask   a request about {topic}, a whole clause with its full stop
"""

import functools

HELD_OUT_EVERY = 4

LIKES = """
{W}, I always go for {v}{r}, so {ask}
Quick note before we start: I'm firmly in the camp of {v} {w}{r}. {Ask}
I need a bit of help with {topic}. For me it has to be {v}{r}, at least {w}. {Ask}
{Ask} One thing to know about me first, {w} I lean towards {v} every single time{r}.
If it's up to me, {w}, give me {v} any day{r}. {Ask}
On {topic} I made up my mind years ago, and {v} won{r}, {w} anyway. So {ask}
My default {w}? Easy, {v}{r}. With that in mind, {ask}
I swear by {v} {w}{r}, and I'd like whatever you suggest to fit that. {Ask}
{Ask} Bear in mind that nothing beats {v} for me {w}{r}.
I keep coming back to {v}{r}. That's just how I am {w}. {Ask}
When it comes to {topic} I'm easy to please, as long as I get {v} {w}{r}. {Ask}
{W}, you can put me down for {v}{r}. {Ask}
I'm a big fan of {v}, {w} more than ever{r}. {Ask}
I know what I like {w}, and that means {v}{r}. So {ask}
Let me save us both some time on {topic}: {w}, I'm happiest with {v}{r}. {Ask}
{Ask} And please remember that {w} I'd pick {v} over anything else{r}.
What works for me {w} comes down to {v}{r}. I've tried the rest. {Ask}
My rule is simple: {w}, {v}{r}. {Ask}
As for {topic}, I've settled on {v} {w}, no plans to budge{r}. {Ask}
{Ask} I tend to gravitate towards {v} {w}{r}, in case that matters.
I'm rather partial to {v}{r}, {w} above all. {Ask}
Could we sort out {topic} today? I only really enjoy {v} {w}{r}. {Ask}
Please note down one thing about me, {w} I like to stick with {v}{r}. {Ask}
I get on best with {v}{r}. {W}, that is. {Ask}
{W} there's only one answer for me, {v}{r}. {Ask}
I'd call myself a creature of habit {w}: {v}, always{r}. {Ask}
{Ask} My preference {w}, if you want to store it somewhere: {v}{r}.
Nine times out of ten I end up with {v} {w}{r}, and I'm glad when I do. {Ask}
Before you suggest anything on {topic}, I should say {v} would be my choice {w}{r}. {Ask}
I've got a soft spot for {v}{r}, {w} in particular. {Ask}
People can do as they please, but {w} I'm all for {v}{r}. {Ask}
{Ask} It should suit someone who goes with {v} {w}{r}, because that's me.
I count on {v} {w}{r}. Take that as given and {ask}
Whoever asks me about {topic} gets the same reply, {v}{r}. {W}, of course. {Ask}
{W}, I feel most like myself with {v}{r}. {Ask}
Looking at {topic} again. I'd choose {v} {w}{r} without thinking twice. {Ask}
I'm trying to get {topic} right for once, and {w} I'd want {v}{r}. {Ask}
No need to list every alternative, {v} will do me nicely {w}{r}. {Ask}
{W} I look for {v} first and everything else second{r}. {Ask}
My vote goes to {v}{r}, and it always has {w}. {Ask}
"""

DISLIKES = """
{W}, I steer clear of {v}{r}. Taking that into account, {ask}
Whatever we end up with for {topic}, please keep {v} out of it. I can't get on with that {w}{r}.
    {Ask}
{Ask} Anything but {v}, please, {w} that's a hard no from me{r}.
I've never warmed to {v} {w}{r}, so {ask}
You should know that {v} would put me right off {w}{r}. {Ask}
I can't stand {v}{r}, least of all {w}. {Ask}
When we talk about {topic}, leave {v} off the list{r}. I mean {w}. {Ask}
I've had it with {v} {w}{r}. {Ask}
{Ask} Just don't suggest {v}{r}. {W} I'd sooner go without.
If there's one thing I dodge {w}, I'd say {v}{r}. {Ask}
{W} I'll take nearly anything, only not {v}{r}. {Ask}
I gave {v} a fair try {w} and hated it{r}. {Ask}
Please spare me {v} {w}{r}. Other than that I'm open. {Ask}
On {topic} I'm flexible with a single exception, {v}. Not for me {w}{r}. {Ask}
I'm not someone you'd ever win over with {v} {w}{r}. {Ask}
{W} the thought of {v} makes me groan{r}. {Ask}
"""

PAIRS = """
Two things about me so you can plan properly: {w}, I go for {v}{r}, and {w2} I'd pick {v2}. {Ask}
{W}, I'm all for {v}. And while I'm at it, {w2} you can count on me choosing {v2}. {Ask}
{Ask} For context, I like to stick with {v} {w}{r}. The other thing, {w2}, would be {v2}.
I've been thinking about {topic} and {topic2} together. {v_up} for the first, {w}, and {v2} for
    the second, {w2}. Those two I won't give up. {Ask}
My week runs on two habits, {v} {w} and {v2} {w2}{r}. {Ask}
If I could fix just two things: {w} I'd have {v}, and {w2} I'd have {v2}. {Ask}
I lean towards {v} {w}{r}. It's a bit like {topic2}, where I always land on {v2}, {w2} anyway. {Ask}
{W}, give me {v}. {W2}, give me {v2}. Keep to that and I'm happy. {Ask}
{Ask} Please work around two fixed points, {v} {w}, and then {v2} {w2}{r}.
On {topic} I'm set, {v} {w}{r}. Same with {topic2}, there I choose {v2} {w2}. {Ask}
A friend asked what I'm fussy about. Honestly, {v} {w}, and {v2} {w2}{r}. {Ask}
I swear by {v} {w}, and I'm just as stubborn about {v2} {w2}. {Ask}
"""

CHOICES = """
{Pick} sounds right, the others aren't for me{r}. {Ask}
I'd go with {pick}{r}. {Ask}
Hmm, {pick} for me, please, I can't see myself with the rest{r}. {Ask}
{Pick}, no contest{r}. Now that's settled, {ask}
Of those I'd take {pick}. {Lost} came close, but no{r}. {Ask}
I was torn for a second between {lost} and {pick}, and it has to be the latter{r}. {Ask}
Reading your list, {pick} made me nod straight away{r}. {Ask}
Not {lost}, I've been there before. {Pick} suits me far better{r}. {Ask}
Easy question for once! {Pick}{r}. Then {ask}
{Lost} would drive me up the wall. I'm with {pick}{r}. {Ask}
That's me you're describing in {pick}{r}. You can drop the other ideas. {Ask}
I'd say {pick}. You could offer me the others for free and I'd still pass{r}. {Ask}
Let's do {pick}{r}, and feel free to assume the same next time. {Ask}
Out of everything you listed, {pick} comes closest to how I actually live{r}. {Ask}
Put a tick next to {pick} for me{r}. {Ask}
You nearly lost me at {lost}, but {pick} hits the spot{r}. {Ask}
My answer would be {pick}, today and most days{r}. {Ask}
{Pick} has always been my thing{r}, so build on that. {Ask}
Oh, {pick}, definitely. I wouldn't even look at {lost}{r}. {Ask}
I read them out to {friend} and we both knew I'd say {pick}{r}. {Ask}
Between us, {pick} and nothing else{r}. {Ask}
If I have to choose, then {pick}{r}, and I don't mind choosing at all. {Ask}
Cross off {lost} and whatever else you had, I'm happy with {pick}{r}. {Ask}
{Pick} every time, thanks for laying them out{r}. {Ask}
I'd sign up for {pick} tomorrow, the rest leave me cold{r}. {Ask}
You can stop at {pick}, that's the one I was hoping to see{r}. {Ask}
Four out of five times I'd land on {pick}, and today too{r}. {Ask}
Give me {pick}, I've no interest in {lost} or the like{r}. {Ask}
"""

PERSONAS = """
We moved to {city} last month and half our life is still in boxes. The one thing that already
    feels like home: {w} I reach for {v}{r}, same as ever. {Ask}
I'm a {job}, so my days are long, and {w} you'll find me with {v} and nowhere near anything
    else{r}. {Ask}
{Friend} teases me about it, but {w} I'm the person with {v}{r}. It's practically on my name badge
    at work. {Ask}
My {kin} and I are planning a week together in {city}. We agree on most things, though {w} I
    insist on {v} and always will{r}. {Ask}
Ever since I started as a {job} I've had less time to myself. What keeps me going {w}, believe it
    or not, comes down to {v}{r}. {Ask}
Life has been a lot lately, with the move to {city} and everything. I find comfort in small
    things, and {w} that means {v}{r}. {Ask}
Growing up in {city} I picked up plenty of habits from my {kin}, and {v} {w} would be the one that
    stuck{r}. {Ask}
I turned forty in {month} and made a list of what makes me content. Near the top, right under my
    {kin}: {v} {w}{r}. {Ask}
You'd laugh at how stubborn I can be {w}. Everyone around me does something else and I couldn't be
    happier with {v}{r}. {Ask}
My new flatmate {friend} couldn't believe that {w} I'd walk across town for {v}{r}. Well, I would.
    {Ask}
Between the twins, the dog and my shifts as a {job} there isn't much I get to decide. But {w} I do
    decide, and then I choose {v}{r}. {Ask}
I spent the weekend in {city} with {friend}, and {w} we nearly fell out because I wouldn't settle
    for less than {v}{r}. All good now. {Ask}
As a {job} I make a hundred small decisions a day. That's why {w} I never hesitate, I've got {v}
    on autopilot{r}. {Ask}
Not much news here. {Month} has been quiet, work as a {job} pays the bills, and {w} I treat myself
    to {v}{r}. {Ask}
My {kin} visited and brought gifts, none of which fit. After all these years you'd think they'd
    know that {w} I'm devoted to {v}{r}. {Ask}
In {month} I'm off to {city} for work. I already know how it will go, {w} I'll hunt for {v} until
    I find it{r}. {Ask}
I used to be jealous of people who don't care. Me, I can tell you exactly what I need {w}, and
    we're talking about {v}{r}. {Ask}
{Friend} and I got talking about what we'd miss on a desert island. I said {v}, {w} in any
    case{r}. They shook their head. {Ask}
It's been a year since I left {city}. New job as a {job}, new faces, but {w} I've held on to
    {v}{r} like an old coat. {Ask}
I'm writing down little facts about myself for a course my {kin} signed me up to. First line: {w},
    {v} wins me over every time{r}. {Ask}
My doctor told me to notice what gives me energy. Funny thing, {w} I'm at my best with {v}{r}. {Ask}
We're sorting things out at home in {month} and I'm in charge of {topic}. Left to my own devices
    {w} I'd have {v} and call it done{r}. {Ask}
After ten years as a {job} I've learnt what I can do without. {W}, {v} would be the last thing I'd
    give up{r}. {Ask}
{Friend} says I'm predictable. Fair enough, {w} you can set your watch by me and {v}{r}. {Ask}
I've finally got a free weekend, the first since {month}. No plans, no guests, and {w} I fully
    intend to enjoy {v}{r}. {Ask}
My {kin} raised me to be practical. {W} I see no sense in anything other than {v}{r}. {Ask}
Three moves in two years taught me to travel light. What I won't leave behind {w}, though, would
    be {v}{r}. {Ask}
Working as a {job} in {city} sounds glamorous and isn't. The good part comes later, {w}, when I
    get to have {v}{r}. {Ask}
"""

PERSONA_DISLIKES = """
I shared an office with {friend} for a year, and {w} it was {v} all the time. Never again, I still
    shudder{r}. {Ask}
My {kin} keeps pushing {v} on me {w}, bless them, and I keep finding excuses not to join in{r}.
    {Ask}
As a {job} I put up with plenty. Where I draw the line {w} would be {v}{r}. {Ask}
We had a holiday in {city} that was lovely apart from one thing, {v} {w}. I'd pay good money to
    avoid that{r}. {Ask}
{Friend} took me along in {month} and I learnt something about myself: {w}, {v} will send me
    straight home{r}. {Ask}
You know what I noticed since the move to {city}? {W} I'll go a long way round just to get out of
    {v}{r}. {Ask}
My first job as a {job} cured me of {v} for good, {w} more than ever{r}. {Ask}
I tried to be a good sport about it with my {kin}, but {w} I just can't face {v}{r}. {Ask}
"""

CHANGES = """
I used to go for {old} {w}, but from now on make it {v}{r}. {Ask}
Scratch what I told you about {topic}. {W} I've switched to {v}{r}. {Ask}
Small update from me: the days of {old} are over. {W}, I now reach for {v}{r}. {Ask}
You still have me down for {old}, I think. That's out of date, {w} I want {v} these days{r}. {Ask}
I've changed my mind on {topic}. Forget {old}, {w} give me {v} from here on{r}. {Ask}
Funny how things turn. A while ago I swore by {old}, and now {w} I wouldn't trade {v} for the
    world{r}. {Ask}
Since {month} I've gone over to {v} {w}{r}, so please stop assuming {old}. {Ask}
Remember {old}? I'm done with that {w}. My new thing would be {v}{r}. {Ask}
{Friend} talked me into trying {v} {w}, and I'm not going back to {old}{r}. {Ask}
Please correct your notes on {topic}: no longer {old}, now {v}{r}. {W}, I mean. {Ask}
Turns out I was wrong about {old}. {W} I'm a convert to {v}{r}. {Ask}
New job as a {job}, new habits. {W} I dropped {old} and took up {v} for good{r}. {Ask}
I know I said {old} at some point, but {w} I've come round to {v} and mean to stay there{r}. {Ask}
From this month on {v} it shall be {w}{r}. I've had enough of {old}. {Ask}
My taste in {topic} has shifted. Where I once wanted {old}, {w} I'd now choose {v}{r}. {Ask}
After the move to {city} I gave up {old}, and {w} you'll see me with {v} instead{r}. {Ask}
"""

LIKE_REASONS = """
 because it saves me a lot of fuss
, mostly because anything else wears me out
, it keeps my nerves in check
 because I've tried the rest and it never stuck
, it just fits around my work
, and my budget agrees
 because that's what I grew up with
, it helps me concentrate
 since I get overwhelmed by anything more complicated
, I simply have more fun that way
 because I know I won't regret it afterwards
"""

DISLIKE_REASONS = """
 because it has gone wrong for me once too often
, it drains me
 since I end up in a bad mood every time
, I just find it stressful
 because it costs me more than it gives back
, it has never felt like me
, and I've got the stories to prove it
 since it takes away all the fun
"""

CHANGE_REASONS = """
 because the old way stopped working for me
, it just suits my life better now
 since my days look different these days
, and I feel better for it
 because I got tired of the other thing
, my budget had a word in it too
"""

# a reason that only makes sense in one category of the taxonomy
CATEGORY_REASONS = {
    "food": """
 because my stomach is picky
, my doctor was quite clear about it
""",
    "travel": """
, I get anxious on the road otherwise
 because my nerves aren't what they were
""",
    "communication": """
 because I read most things on my phone
 since my attention wanders easily
""",
    "health": """
 because my back gives me trouble
, my doctor was all for it
 because I want to feel well at eighty
""",
    "home": """
 because my flat is tiny
, the walls here are thin
 since we've got two cats
""",
    "shopping": """
 because money is tight this year
, I've been burnt before
 since I've no room for clutter
""",
}

ASKS = """
could you suggest where to start with {topic}?
what would you recommend for {topic}?
can you draft a short plan for me?
please put together a few ideas I can compare.
could you help me find something that fits?
what should I watch out for?
please help me work out the next step.
can you give me three concrete suggestions?
could you write me a short checklist for {topic}?
what are my options for next week?
please sketch something for the coming month.
can you help me explain {topic} to {friend}?
how would you go about {topic} in my place?
could you draw up a plan for the weekend?
any ideas that wouldn't cost the earth?
can you point me to something good around {city}?
what would you try first?
could you help me prepare something for {month}?
please tell me what I'm missing.
can you turn that into a simple plan?
what would be a sensible first step?
could you think of something for my {kin} and me?
please suggest something new within those limits.
how do I make that work with a busy week?
can you find a good way to handle {topic} while I'm in {city}?
could you tell me how other people deal with {topic}?
what do I need to get ready?
please give me a rough budget for it.
can you recommend one thing and say why?
could you help me plan around that?
what would a day look like with that in mind?
please write a short message about it that I can send to {friend}.
"""

OPTION_REQUESTS = """
I'm a bit lost with {topic} at the moment. What are the usual choices, and how do they differ?
Could you lay out a few options for {topic}? I'd like to see them side by side before I say
    anything.
What do people normally choose when it comes to {topic}? List the main ones and I'll have a look.
I have to decide something about {topic} this week. Can you give me a short list to pick from?
{Friend} asked me about {topic} and I had no answer ready. What's out there?
Help me think about {topic}, please. Which alternatives should I be looking at before {month}?
I haven't given {topic} much thought so far. Could you show me what there is to choose from?
Can you walk me through the main possibilities for {topic}? A short list will do.
"""

LISTS = {
    "likes": LIKES,
    "dislikes": DISLIKES,
    "pairs": PAIRS,
    "choices": CHOICES,
    "personas": PERSONAS,
    "persona_dislikes": PERSONA_DISLIKES,
    "changes": CHANGES,
    "option_requests": OPTION_REQUESTS,
}


@functools.cache
def lines(block: str) -> tuple[str, ...]:
    """Templates of a block, each on one line; a reason keeps the space or comma it starts with."""
    joined = block.strip("\n").replace("\n    ", " ")
    return tuple(line.rstrip() for line in joined.split("\n"))


@functools.cache
def split_lines(block: str, split: str) -> tuple[str, ...]:
    """The templates of a block that `split` may use; training shares none with the others."""
    held_out = split in ("heldout", "unseen")
    return tuple(
        line
        for index, line in enumerate(lines(block))
        if (index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out
    )
