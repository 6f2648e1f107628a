"""Foods by what people cannot have: what a dish must not hold where a diet or an allergy says so.

One word a food; who eats none of a group eats none of its foods. The lists are ours, of what
recipes and menus name most, and are not complete: they help a small model, and are no medical
advice.
"""

_GROUPS = {
    "meat": (
        "beef pork chicken turkey lamb mutton veal duck goose bacon ham sausage salami steak "
        "brisket venison prosciutto chorizo pepperoni pancetta meatball hamburger poultry ribs "
        "gelatin gelatine lard"
    ),
    "fish": (
        "salmon tuna cod anchovy sardine mackerel trout halibut tilapia herring haddock caviar "
        "sashimi ceviche"
    ),
    "shellfish": (
        "shrimp prawn crab lobster oyster mussel clam scallop crayfish squid calamari seafood"
    ),
    "nut": (
        "peanut almond walnut hazelnut pecan cashew pistachio macadamia praline marzipan nutella "
        "frangipane"
    ),
    "peanut": "satay groundnut",
    "dairy": (
        "milk cream cheese butter yogurt yoghurt custard whey ghee mozzarella parmesan cheddar "
        "feta ricotta mascarpone brie buttermilk kefir"
    ),
    "egg": "omelette omelet frittata quiche mayonnaise meringue",
    "gluten": (
        "wheat flour bread pasta barley rye couscous semolina bulgur seitan noodle spaghetti "
        "lasagna macaroni cracker toast croissant bagel baguette pancake beer"
    ),
    "alcohol": (
        "wine beer whisky whiskey vodka gin rum cocktail champagne prosecco brandy liqueur tequila "
        "sherry cognac bourbon cider lager"
    ),
    "pork": "bacon ham prosciutto salami pepperoni chorizo pancetta lard gelatin gelatine",
    "soy": "tofu tempeh edamame miso",
    "sesame": "tahini halva",
    "honey": "",
    "sugar": "candy soda syrup caramel fudge lollipop lemonade",
    "raw fish": "sashimi ceviche sushi tartare",
}
_SAME = {
    "lactose": "dairy",
    "milk": "dairy",
    "seafood": "shellfish",
    "prawn": "shellfish",
    "shrimp": "shellfish",
}
_DIETS = {
    "vegetarian": ("meat", "fish", "shellfish"),
    "vegan": ("meat", "fish", "shellfish", "dairy", "egg", "honey"),
    "pescatarian": ("meat",),
    "halal": ("pork", "alcohol"),
    "kosher": ("pork", "shellfish"),
    "coeliac": ("gluten",),
    "celiac": ("gluten",),
    "pregnant": ("alcohol", "raw fish"),
    "diabetic": ("sugar",),
    "diabetes": ("sugar",),
    "teetotal": ("alcohol",),
    "teetotaller": ("alcohol",),
    "sober": ("alcohol",),
}
_HEALTH = frozenset(("coeliac", "celiac", "pregnant", "diabetic", "diabetes"))
_NO_FOOD = frozenset(("raw fish",))  # names of groups that stand on no menu


def below(food: str) -> tuple[str, ...]:
    """What somebody who cannot have a food, or a group of foods, cannot have either; it first."""
    group = _SAME.get(food, food)
    return (food, *_GROUPS.get(group, "").split())


def ruled_out(diet: str) -> tuple[tuple[str, ...], ...]:
    """The groups of foods that a diet or a condition rules out; none if the word is neither."""
    return tuple(
        tuple(food for food in below(group) if food not in _NO_FOOD)
        for group in _DIETS.get(diet, ())
    )


def diet(word: str) -> tuple[tuple[str, ...], ...]:
    """What `ruled_out` has of a diet somebody keeps by choice; none of a condition."""
    return () if word in _HEALTH else ruled_out(word)
