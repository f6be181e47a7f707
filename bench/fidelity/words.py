"""Words and sentence patterns of the generated documents.

Every statement and every filler sentence is seven words and a full stop, so that a tokenizer which
holds each word as one token turns each of them into exactly eight tokens. `{S}` is the person, by
name or by pronoun, and always opens the sentence; `{v}` is the value. No value belongs to two
attributes, and no value is a word of any pattern: a value names its attribute.
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

STATEMENTS = {
    "city": ["{S} lives in the city of {v}.", "{S} rents a small flat in {v}."],
    "job": ["{S} works as a {v} in town.", "{S} earns money as a hired {v}."],
    "food": ["{S} likes to eat {v} every day.", "{S} buys {v} for dinner each week."],
    "pet": ["{S} has a pet {v} at home.", "{S} keeps a little {v} for company."],
    "colour": ["{S} wears the {v} coat in winter.", "{S} chose {v} for the front door."],
    "hobby": ["{S} enjoys {v} on most free evenings.", "{S} spends each weekend on {v} now."],
    "instrument": ["{S} plays the {v} in a band.", "{S} practises the {v} after every lunch."],
    "drink": ["{S} drinks {v} at the kitchen table.", "{S} orders {v} in the corner bar."],
    "vehicle": ["{S} drives an old {v} to market.", "{S} parks the {v} behind the house."],
    "language": ["{S} can speak {v} with old friends.", "{S} learned {v} from a kind aunt."],
    "subject": ["{S} studies {v} at the night school.", "{S} gives talks about {v} in spring."],
}

QUESTIONS = {
    "city": ["Where does {S} live?", "In which city does {S} live?"],
    "job": ["What does {S} work as?", "What is the job of {S}?"],
    "food": ["What does {S} eat?", "Which food does {S} like?"],
    "pet": ["Which pet does {S} have?", "What is the pet of {S}?"],
    "colour": ["Which colour does {S} wear?", "What is the colour of {S}?"],
    "hobby": ["What does {S} enjoy?", "What is the hobby of {S}?"],
    "instrument": ["What does {S} play?", "Which instrument does {S} play?"],
    "drink": ["What does {S} drink?", "Which drink does {S} order?"],
    "vehicle": ["What does {S} drive?", "Which vehicle does {S} have?"],
    "language": ["What does {S} speak?", "Which language does {S} speak?"],
    "subject": ["What does {S} study?", "Which subject does {S} study?"],
}

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
