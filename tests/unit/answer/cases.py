# ruff: noqa: E501 - texts as data
"""Questions with what their answer must say, or that there is none: the table that measures extractive answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """`turns` are asked one after another by `user`; the last is judged. `says`: every one must be in the answer's text;
    `never`: none may. `abstains`: the sources do not answer."""

    world: str
    turns: tuple[str, ...]
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    user: str | None = None
    abstains: bool = False

    @property
    def name(self) -> str:
        return f"{self.world}: {' / '.join(self.turns)}"


def ask(world: str, *turns: str, says: str = "", never: str = "", user: str | None = None) -> Case:
    return Case(world, turns, _split(says), _split(never), user)


def nothing(world: str, *turns: str, user: str | None = None) -> Case:
    return Case(world, turns, (), (), user, abstains=True)


def _split(text: str) -> tuple[str, ...]:
    return tuple(t for t in text.split("|") if t)


CASES = (
    # ---- airline: rows
    ask(
        "airline",
        "Is HAT170 on May 22 still available in business, and at what price?",
        says="HAT170|2024-05-22|Business: 5 seats left at $883",
        never="Economy: 12|$640|$702",
    ),
    ask(
        "airline",
        "how many economy seats are left on HAT170 on 22 May 2024?",
        says="Economy: 12 seats left",
        never="Economy: 3",
    ),
    ask("airline", "What does HAT171 cost in business on 2024-05-22?", says="$411", never="$883"),
    ask("airline", "How much is HAT170 on May 22?", says="HAT170|2024-05-22|$883|$151", never="$702|$411"),
    ask("airline", "What does flight HAT170 cost on 2024-05-22?", says="2024-05-22|$883|$151", never="$702|$411"),
    ask("airline", "What is the price of HAT171 on May 22?", says="HAT171|$411", never="$883"),
    ask("airline", "How much is economy on HAT170 on May 22?", says="Economy: 12 seats left at $151", never="$883"),
    nothing("airline", "How much is parking for HAT170 on May 22?"),
    nothing("airline", "What do snacks cost on HAT170 on May 22?"),
    nothing("airline", "How much is HAT170 on June 22?"),
    ask("airline", "Is HAT020 on May 15 delayed?", says="HAT020|is delayed", never="HAT018"),
    ask("airline", "Is flight HAT020 delayed?", says="HAT020|2024-05-15|is delayed", never="HAT018"),
    ask("airline", "What is the status of HAT020 right now?", says="HAT020|is delayed", never="HAT018"),
    ask("airline", "Is HAT170 sold out in basic economy?", says="HAT170|2024-05-21"),
    ask("airline", "Is HAT018 on time today?", says="HAT018|is on time"),
    ask("airline", "Is HAT170 available in business on 5/23/2024?", says="Business: 9 seats left at $702"),
    ask(
        "airline",
        "Is HAT170 on May 22 still available in business?",
        "and in economy?",
        says="2024-05-22|Economy: 12 seats left at $151",
        never="$883",
    ),
    ask(
        "airline",
        "Is HAT170 on May 22 still available in business?",
        "what about May 23?",
        says="2024-05-23|$702",
        never="$883",
    ),
    ask(
        "airline",
        "Is HAT170 on May 22 still available in business?",
        "How much is it in basic economy?",
        says="$66",
        never="$91",
    ),
    ask("airline", "Is HAT170 on May 22 still available in business?", "and HAT171?", says="HAT171|$411", never="$883"),
    ask("airline", "Is HAT020 on May 15 delayed?", "when will it depart?", says="16:10"),
    ask("airline", "What is the status of HAT018 today?", says="HAT018|is on time"),
    ask(
        "airline",
        "Is HAT170 sold out in basic economy on May 21?",
        says="Basic economy: sold out",
        never="Business|Economy: 3",
    ),
    ask("airline", "Which flights go from Dallas to Los Angeles on May 22?", says="HAT170|HAT171", never="HAT020"),
    nothing("airline", "Which flights go from Los Angeles to Dallas on May 22?"),
    ask(
        "airline",
        "Is HAT170 on May 22 still available in business?",
        "and the day after?",
        says="2024-05-23|$702",
        never="$883",
    ),
    nothing("airline", "Is HAT170 on June 22 available in business?"),
    nothing("airline", "Is HAT999 available on May 22?"),
    nothing("airline", "Is HAT170 on May 22 vegan friendly?"),
    nothing("airline", "Which gate does HAT170 leave from on May 22?"),
    nothing("airline", "Who is the pilot of HAT170 on May 22?"),
    # ---- airline: policies
    ask(
        "airline",
        "How many free checked bags does a gold member get in business class?",
        says="gold member|3 free checked bags for each business passenger",
        never="silver",
    ),
    ask(
        "airline",
        "How many free checked bags does a silver member get?",
        says="silver member|2 free checked bags",
        never="gold|regular",
    ),
    ask("airline", "How much is an extra checked bag?", says="50 dollars", never="30 dollars"),
    ask("airline", "What does an additional suitcase cost?", says="50 dollars"),
    ask("airline", "How much does travel insurance cost?", says="30 dollars per passenger", never="50"),
    ask("airline", "Can I add insurance after booking?", says="cannot add travel insurance after the initial booking"),
    ask("airline", "How long does a refund take?", says="5 to 7 business days"),
    ask("airline", "Can basic economy flights be changed?", says="Basic economy flights cannot be modified"),
    ask("airline", "How many passengers can be on one reservation?", says="at most five passengers"),
    ask("airline", "Can I remove a bag from my reservation?", says="can add but not remove checked bags"),
    ask("airline", "How many gift cards can I use for a booking?", says="at most three gift cards"),
    ask("airline", "Is the rest of a travel certificate refundable?", says="not refundable"),
    ask("airline", "Can I cancel a flight within 24 hours of booking?", says="within 24 hours of booking"),
    ask(
        "airline", "How many bags does a gold member get in economy?", "and silver?", says="silver member", never="gold"
    ),
    nothing("airline", "How many free checked bags does a platinum member get in business class?"),
    nothing("airline", "Can I bring my dog on board?"),
    nothing("airline", "How much does wifi cost on the flight?"),
    nothing("airline", "Who is the chief executive of the airline?"),
    nothing("airline", "What is the capital of France?"),
    nothing("airline", "How do I bake sourdough bread?"),
    nothing("airline", "What is the weight limit of a checked bag?"),
    # ---- airline: who asks
    ask("airline", "What is my next flight?", says="HAT018|May 15, 2024", never="HAT276", user="mia"),
    ask("airline", "What is my next flight?", "And the one after?", says="HAT276", never="HAT018|HAT277", user="mia"),
    ask(
        "airline",
        "What is my next flight?",
        "And the one after?",
        "and after that?",
        says="HAT277",
        never="HAT276",
        user="mia",
    ),
    ask(
        "airline",
        "What is my next flight?",
        "And the one after?",
        "And the one before that?",
        says="HAT018",
        never="HAT276",
        user="mia",
    ),
    ask(
        "airline",
        "What is my next flight?",
        "And the one after?",
        "Can I cancel it?",
        says="HAT276|economy flights can be cancelled only if travel insurance|has no travel insurance",
        user="mia",
    ),
    ask(
        "airline",
        "What is my next flight?",
        "Can I cancel it?",
        says="Business flights can always be cancelled",
        never="basic economy",
        user="mia",
    ),
    ask("airline", "What is my next flight?", "when does it arrive?", says="22:30", user="mia"),
    ask("airline", "Is my next flight delayed?", says="HAT018|on time", user="mia"),
    ask("airline", "How many reservations do I have?", says="2 reservations", user="mia"),
    ask("airline", "What is my membership level?", says="gold", user="mia"),
    ask("airline", "When is my flight to Los Angeles?", says="HAT276", never="HAT018|HAT277", user="mia"),
    ask("airline", "Show me my business reservations", says="EHGLP3", never="1HR73K", user="mia"),
    ask("airline", "What was my last flight?", says="HAT099", never="HAT018", user="mia"),
    ask("airline", "Which flights do I have on May 20?", says="HAT276", never="HAT018", user="mia"),
    ask("airline", "How many free bags do I get?", says="gold member", never="silver|regular member", user="mia"),
    ask("airline", "Does reservation 1HR73K have travel insurance?", says="1HR73K|has no travel insurance", user="mia"),
    ask("airline", "How much did I pay for my flight on May 27?", says="$171", user="mia"),
    ask("airline", "What is my email address?", says="mia.li3818@example.com", user="mia"),
    ask("airline", "list my upcoming flights", says="HAT018|HAT276|HAT277", never="HAT099", user="mia"),
    ask("airline", "Do I have a flight to Tokyo?", says="Tokyo", never="[F1]", user="mia"),
    ask(
        "airline", "How many reservations do I have?", "which is the newest?", says="EHGLP3", never="1HR73K", user="mia"
    ),
    ask("airline", "How much did I pay for my flight to Los Angeles?", says="$157", user="mia"),
    ask("airline", "Can I change the passengers of my reservation?", says="can modify the passengers", user="mia"),
    ask("airline", "How long until I get my money back?", says="5 to 7 business days"),
    nothing("airline", "Can I remove a passenger?"),
    nothing("airline", "What is my next flight?"),
    nothing("airline", "How many reservations do I have?"),
    nothing("airline", "What is my shoe size?", user="mia"),
    nothing("airline", "What is the seat number of my next flight?", user="mia"),
    # ---- manual
    ask("manual", "How often should I descale the machine?", says="every three months"),
    ask("manual", "Can I use vinegar?", says="Vinegar damages the seals"),
    ask("manual", "What does the red blinking light mean?", says="too hot", never="tank is empty"),
    ask("manual", "How heavy is the machine?", says="4.2 kg"),
    ask("manual", "How big is the water tank?", says="1.8 litres"),
    ask("manual", "How long is the warranty?", says="24 months"),
    ask("manual", "Does the warranty cover the glass carafe?", says="does not cover the glass carafe"),
    ask("manual", "How long is the warranty?", "Does it cover the carafe?", says="does not cover the glass carafe"),
    ask("manual", "How long does the descaling program take?", says="25 minutes"),
    ask("manual", "At what age may children use it?", says="under 8 years"),
    ask("manual", "Where do I send a warranty claim?", says="service@brewmaster.example"),
    nothing("manual", "Does it make espresso?"),
    nothing("manual", "How do I connect the machine to wifi?"),
    nothing("manual", "What colours does the machine come in?"),
    nothing("manual", "What is the price of the Brewmaster 300?"),
    # ---- handbook
    ask("handbook", "How many vacation days do full time employees have?", says="28 vacation days"),
    ask("handbook", "how many holidays do I get per year", says="28 vacation days", user="ada"),
    ask("handbook", "When do I need a doctor's note?", says="third day of illness", user="ada"),
    ask("handbook", "How much is reimbursed for a hotel in Paris?", says="190 euros"),
    ask("handbook", "Until when must carried over days be taken?", says="March 31"),
    ask("handbook", "When is the Berlin office open?", says="8:00 to 20:00", never="7:00"),
    ask("handbook", "How many days a week can I work remotely?", says="three days a week"),
    ask("handbook", "Can I work from abroad?", says="20 days a year"),
    ask("handbook", "How long is parental leave?", says="16 weeks"),
    ask("handbook", "Who is my manager?", says="Jon Weiss", user="ada"),
    ask("handbook", "How many vacation days do I have left?", says="11", user="ada"),
    ask("handbook", "What is my next training?", says="Fire safety", never="Data protection", user="ada"),
    ask("handbook", "Is my parental leave approved?", says="9002|pending", user="ada"),
    ask("handbook", "How long is parental leave?", "and sick pay?", says="100 % of your salary for six weeks"),
    nothing("handbook", "How much is the Christmas bonus?"),
    nothing("handbook", "When is the Madrid office open?"),
    nothing("handbook", "Can I bring my own laptop to meetings with clients in Japan?"),
    nothing("handbook", "What is the dress code?"),
    # ---- shop
    ask("shop", "How long do I have to return an item?", says="within 45 days of delivery"),
    ask("shop", "What does express delivery cost?", says="$14.90", never="$8.50"),
    ask("shop", "Do you ship to Norway?", says="Norway"),
    ask("shop", "Can gift cards be returned?", says="cannot be returned"),
    ask("shop", "What is the status of my last order?", says="W2001|pending", never="W1950", user="leo"),
    ask(
        "shop",
        "What is the status of my last order?",
        "Can I cancel it?",
        says="cancelled only while it is pending|W2001",
        user="leo",
    ),
    ask("shop", "How many orders have I made?", says="3 orders", user="leo"),
    ask("shop", "How much have I spent in total?", says="256.70", user="leo"),
    ask("shop", "How did I pay for order W1950?", says="credit card", never="PayPal", user="leo"),
    ask("shop", "How many loyalty points do I have?", says="340", user="leo"),
    ask("shop", "What is my address?", says="Kiel", user="leo"),
    ask("shop", "Which of my orders is cancelled?", says="W1711", never="W2001|W1950", user="leo"),
    ask("shop", "Is the Trailfox 2 in stock in size 42?", says="42 (1 pair)"),
    ask("shop", "Are the Roadfox vegan?", says="Vegan", never="Trailfox"),
    ask("shop", "What is my name?", says="Leo|Brandt", user="leo"),
    ask("shop", "What are my orders?", "which of them are delivered?", says="W1950", never="W2001|W1711", user="leo"),
    ask("shop", "What are my orders?", "and the latest?", says="W2001", never="W1950", user="leo"),
    ask("shop", "Which order has the rain jacket?", says="W1711", never="W2001", user="leo"),
    ask("shop", "Are the Roadfox vegan?", "how much are they?", says="$99.00", never="$129"),
    nothing("shop", "Do you ship to Brazil?"),
    nothing("shop", "Do you sell hiking tents?"),
    nothing("shop", "What are your opening hours?"),
    nothing("shop", "Is there a student discount?"),
    # ---- release notes
    ask("notes", "What is the default timeout in 3.2.0?", says="30 seconds"),
    ask("notes", "Which Python version does Tidekit need?", says="3.9 or newer"),
    ask("notes", "Does Tidekit run on Windows?", says="Windows is not supported"),
    ask(
        "notes",
        "Which release fixed the crash with an empty configuration file?",
        says="configuration file is empty|3.1.4",
    ),
    ask("notes", "How do I upgrade tidekit?", says="pip install -U tidekit"),
    ask(
        "notes",
        "What was fixed in the release of March 18?",
        says="crash when the configuration file is empty",
        never="sync",
    ),
    ask("notes", "How much data can a remote hold?", says="2000 GB", never="500 GB"),
    ask("notes", "When was 3.0.0 released?", says="2023-11-02"),
    nothing("notes", "Does Tidekit support Kubernetes?"),
    nothing("notes", "What is new in 4.0.0?"),
    nothing("notes", "How much does a Tidekit licence cost?"),
)
