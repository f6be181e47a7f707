"""Words and sentence patterns of the generated documents.

Every statement and every filler sentence is seven words and a full stop, so that a tokenizer which
holds each word as one token turns each of them into exactly eight tokens. `{S}` is the person, by
name or by pronoun, `{O}` a second person, `{v}` the value, `{r}` how two people belong together. No
value belongs to two attributes, and no value is a word of any pattern: a value names its attribute.
"""

FEMALE_NAMES = (
    "Maria Anna Julia Emma Sofia Laura Clara Nina Alice Helen Irene Diana Carla Elena Grace Hannah "
    "Ingrid Joan Karen Linda Martha Nora Olivia Paula Rachel Sarah Teresa Ursula Vera Wendy Amelia "
    "Beatrice Charlotte Daisy Edith Flora Gloria Heidi Ida Jasmine Kate Lucy Mabel Naomi Petra "
    "Rosa Susan Tina Violet Yvonne Zoe Agnes Bella Cecilia Doris Esther Fiona Greta Hilda Ivy"
).split()

MALE_NAMES = (
    "Peter Paul John Mark David Thomas Simon Martin Robert Walter Henry George Frank Oscar Victor "
    "Albert Bruno Carlos Daniel Edward Felix Gustav Harold Ivan Jacob Kevin Leon Michael Nathan "
    "Oliver Patrick Quentin Ralph Samuel Tobias Ulrich Vincent William Xavier Adam Benjamin Conrad "
    "Dennis Eric Fred Gordon Hugo Isaac James Karl Louis Max Nicholas Otto Philip Rudolf Stefan "
    "Theodore Anton Boris"
).split()

VALUES = {
    "city": (
        "Paris London Berlin Madrid Rome Vienna Prague Lisbon Dublin Oslo Helsinki Warsaw Athens "
        "Budapest Brussels Geneva Milan Naples Venice Seville Hamburg Munich Cologne Lyon Bordeaux "
        "Porto Krakow Riga Vilnius Tallinn Belgrade Cairo Tunis Nairobi Lagos Delhi Mumbai Bangkok "
        "Hanoi Seoul Tokyo Kyoto Beijing Sydney Boston Chicago Denver Toronto Havana Lima"
    ),
    "job": (
        "baker teacher doctor lawyer farmer carpenter plumber nurse painter writer dentist tailor "
        "butcher fisherman gardener librarian mechanic pharmacist photographer pilot policeman "
        "potter sailor sculptor singer soldier surgeon translator waiter weaver blacksmith banker "
        "barber builder chemist clerk cobbler cook dancer driver"
    ),
    "food": (
        "bread cheese rice pasta soup salad fish chicken beef pork beans lentils potatoes carrots "
        "onions tomatoes mushrooms spinach cabbage peas corn apples pears plums cherries grapes "
        "oranges lemons bananas melons nuts honey butter yogurt eggs bacon sausages pancakes "
        "waffles dumplings"
    ),
    "pet": (
        "dog cat rabbit hamster parrot canary turtle lizard snake goldfish pony goat duck goose "
        "hedgehog ferret mouse pigeon donkey lamb frog spider crab peacock"
    ),
    "colour": (
        "red blue green yellow orange purple brown black white grey pink violet turquoise golden "
        "silver crimson scarlet beige ivory maroon"
    ),
    "hobby": (
        "chess painting swimming sailing climbing hiking cycling fishing knitting sewing pottery "
        "photography gardening cooking dancing skating skiing running boxing fencing archery "
        "astronomy calligraphy origami carving juggling drawing reading rowing surfing"
    ),
    "instrument": (
        "piano violin guitar flute trumpet drums cello harp clarinet oboe saxophone trombone tuba "
        "accordion banjo mandolin organ bassoon viola lute harmonica ukulele xylophone recorder"
    ),
    "drink": (
        "tea coffee milk cocoa water lemonade cider wine beer juice broth buttermilk punch rum "
        "whisky brandy vodka champagne kefir sherry"
    ),
    "vehicle": (
        "car van truck bicycle motorcycle scooter tractor bus taxi jeep tram wagon carriage "
        "limousine moped ambulance minibus sledge convertible trailer"
    ),
    "language": (
        "English French German Spanish Italian Portuguese Dutch Danish Swedish Norwegian Finnish "
        "Polish Czech Hungarian Greek Turkish Arabic Hebrew Persian Hindi Chinese Japanese Korean "
        "Russian"
    ),
    "subject": (
        "history physics chemistry biology geography mathematics economics philosophy law medicine "
        "theology geology botany zoology sociology statistics logic algebra geometry rhetoric"
    ),
}
VALUES = {attribute: words.split() for attribute, words in VALUES.items()}
ATTRIBUTES = tuple(VALUES)

# What a document may say of a person. The last pattern of each list is held out: no training world
# contains it, so that answers over it show what was learned and not what was remembered.
STATEMENTS = {
    "city": ["{S} lives in the city of {v}.", "{S} rents a small flat in {v}.",
             "{S} moved last year back to {v}.", "{S} bought a little house in {v}."],
    "job": ["{S} works as a {v} in town.", "{S} earns money as a hired {v}.",
            "{S} found a post as {v} nearby.", "{S} became a well known {v} here."],
    "food": ["{S} likes to eat {v} every day.", "{S} buys {v} for dinner each week.",
             "{S} cooks {v} for friends on Sunday.", "{S} ordered {v} at the inn today."],
    "pet": ["{S} has a pet {v} at home.", "{S} keeps a little {v} for company.",
            "{S} walks a young {v} each morning.", "{S} bought a young {v} last May."],
    "colour": ["{S} wears the {v} coat in winter.", "{S} chose {v} for the front door.",
               "{S} painted the whole kitchen {v} again.", "{S} bought a {v} hat in town."],
    "hobby": ["{S} enjoys {v} on most free evenings.", "{S} spends each weekend on {v} now.",
              "{S} talks about {v} most of all.", "{S} took up {v} two years ago."],
    "instrument": ["{S} plays the {v} in a band.", "{S} practises the {v} after every lunch.",
                   "{S} bought a used {v} last May.", "{S} tunes the {v} before each show."],
    "drink": ["{S} drinks {v} at the kitchen table.", "{S} orders {v} in the corner bar.",
              "{S} pours {v} for every single visitor.", "{S} keeps cold {v} in the cellar."],
    "vehicle": ["{S} drives an old {v} to market.", "{S} parks the {v} behind the house.",
                "{S} repaired the {v} in the yard.", "{S} sold the old {v} last week."],
    "language": ["{S} can speak {v} with old friends.", "{S} learned {v} from a kind aunt.",
                 "{S} writes long letters in {v} now.", "{S} teaches {v} to the young ones."],
    "subject": ["{S} studies {v} at the night school.", "{S} gives talks about {v} in spring.",
                "{S} reads thick books about {v} daily.", "{S} passed the exam in {v} easily."],
}

# A label and the sentence that says, from there on, who is meant by it. `the guest` always stands
# two to four words before the value. Again the last pattern is held out.
LABEL = "guest"
INSTRUCTIONS = ["From here on the guest is {S}.", "In what follows the guest means {S}.",
                "Below this line the guest is {S}."]
LABELLED = {
    "city": ["Meanwhile the guest rents in {v} again.", "These days the guest lives in {v}.",
             "By now the guest moved to {v}."],
    "job": ["Meanwhile the guest works as {v} there.", "These days the guest is a {v}.",
            "By now the guest became a {v}."],
    "food": ["Meanwhile the guest eats {v} every day.", "These days the guest buys fresh {v}.",
             "By now the guest cooks only {v}."],
    "pet": ["Meanwhile the guest has a {v} there.", "These days the guest keeps a {v}.",
            "By now the guest walks a {v}."],
    "colour": ["Meanwhile the guest wears {v} in winter.", "These days the guest prefers only {v}.",
               "By now the guest paints only {v}."],
    "hobby": ["Meanwhile the guest enjoys {v} on Sunday.", "These days the guest takes up {v}.",
              "By now the guest prefers some {v}."],
    "instrument": ["Meanwhile the guest plays the {v} there.",
                   "These days the guest practises the {v}.", "By now the guest plays a {v}."],
    "drink": ["Meanwhile the guest drinks {v} at noon.", "These days the guest orders only {v}.",
              "By now the guest pours some {v}."],
    "vehicle": ["Meanwhile the guest drives a {v} there.", "These days the guest parks a {v}.",
                "By now the guest repaired a {v}."],
    "language": ["Meanwhile the guest speaks {v} with friends.",
                 "These days the guest learns some {v}.", "By now the guest writes in {v}."],
    "subject": ["Meanwhile the guest studies {v} at night.", "These days the guest reads about {v}.",
                "By now the guest teaches only {v}."],
}

# Who belongs to whom, and how it is said and asked for; `{O}` stands four words after `{S}`.
RELATIONS = ("cousin", "neighbour", "friend", "partner")
RELATION_STATEMENTS = ["{S} has a {r} {O} in town.", "{S} wrote to {r} {O} last week.",
                       "{S} talked with {r} {O} after lunch."]
RELATION_PERSON = "the {r} of {S}"

QUESTIONS = {
    "city": ["Where does {S} live?", "In which city does {S} live?", "Which city does {S} live in?"],
    "job": ["What does {S} work as?", "What is the job of {S}?", "Which job does {S} have?"],
    "food": ["What does {S} eat?", "Which food does {S} like?", "What food does {S} eat?"],
    "pet": ["Which pet does {S} have?", "What is the pet of {S}?", "What pet does {S} have?"],
    "colour": ["Which colour does {S} wear?", "What is the colour of {S}?",
               "What colour does {S} like?"],
    "hobby": ["What does {S} enjoy?", "What is the hobby of {S}?", "Which hobby does {S} have?"],
    "instrument": ["What does {S} play?", "Which instrument does {S} play?",
                   "What instrument does {S} have?"],
    "drink": ["What does {S} drink?", "Which drink does {S} order?", "What drink does {S} like?"],
    "vehicle": ["What does {S} drive?", "Which vehicle does {S} have?",
                "What vehicle does {S} drive?"],
    "language": ["What does {S} speak?", "Which language does {S} speak?",
                 "What language does {S} speak?"],
    "subject": ["What does {S} study?", "Which subject does {S} study?",
                "What subject does {S} study?"],
}


def trained(patterns):
    return patterns[:-1]


def held_out(patterns):
    return patterns[-1:]


# name of a template set -> which of a list of patterns it may use
TEMPLATES = {"trained": trained, "held-out": held_out}


def all_patterns():
    """Every sentence pattern but filler, of both template sets."""
    groups = [*STATEMENTS.values(), *LABELLED.values(), INSTRUCTIONS]
    relations = [p.replace("{r}", r) for p in RELATION_STATEMENTS for r in RELATIONS]
    return [p for group in groups for p in group] + relations


# Filler: "The <adjective> <place> <four words>." Nobody is named in it.
FILLER_ADJECTIVES = (
    "old new small large quiet narrow wide distant empty busy sunny dusty pretty ancient modern"
).split()
FILLER_PLACES = (
    "bridge river road garden tower harbour station square church museum library street mill "
    "forest valley hill lake castle bakery theatre factory office park hotel school"
).split()
FILLER_ENDINGS = (
    "stood near the railway", "looked calm after midnight", "was covered with snow",
    "opened early on Monday", "closed late on Friday", "belonged to the council",
    "was repaired last summer", "seemed brighter this morning", "filled with many visitors",
    "smelled of fresh paint", "was painted by students", "appeared in the newspaper",
    "lay behind the wall", "was built before winter", "remained open all night",
    "attracted tourists in May", "needed a better roof", "was visible from afar",
    "changed little over time", "was silent on Sunday",
)
FILLER_FIXED = (
    "The rain stopped late in the afternoon.", "A cold wind came from the north.",
    "Many lamps were lit along the coast.", "Nothing else happened during the whole week.",
    "It was a warm and pleasant day.", "Some leaves fell from the tall trees.",
    "The bells rang twice in the distance.", "There was thick fog above the fields.",
    "A letter arrived with the morning post.", "The prices rose again in early autumn.",
    "Clouds gathered slowly above the quiet roofs.", "All shops were shut for the holiday.",
)
