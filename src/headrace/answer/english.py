"""Plain English in lists: words without a topic, words that merely ask, and words that may stand for one another."""

from __future__ import annotations


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP = _listed(
    """
    a an the this that these those and or but nor so yet if then than as of at by for with about against between
    into through during before after above below to from up down in out on off over under again further once
    here there when where why how what which who whom whose i me my mine myself we us our ours ourselves you
    your yours yourself yourselves he him his she her hers it its itself they them their theirs themselves is am
    are was were be been being have has had having do does did doing done will would shall should can could may
    might must ought cannot not no don't doesn't didn't isn't aren't wasn't weren't won't can't couldn't
    shouldn't i'm i've i'd i'll you're it's that's there's what's who's where's when's how's let's we're they're
    please still also just only even ever already now too very really actually currently today yes ok okay hi
    hello hey thanks thank because while until within without per via else whether both either neither such same
    s t u ll re ve m d won don etc vs one ones another any some each every all
    """
)
"""Words that say nothing about the topic."""

GENERAL = _listed(
    """
    take get have want need know tell give make use go come happen work mean say show find look allow possible
    thing way kind type sort level number amount many much long far often time detail information info question
    help list explain describe people person someone anyone everyone user customer receive offer provide include
    apply exist concern regard different specific follow per more most less other able permit let see available
    status state big small maximum minimum total exactly according mention define start end set like new old
    current upcoming next last previous first latest earliest recent bring normally usually typically general
    overall good best currently left remain date day name id tier answer sure require entitle expect made
    key primary main major practical particular certain various several nature text passage article excerpt due involve
    relate relation highlight emphasize claim propose aspect element factor example instance mark important significant
    notable action measure step role term refer
    """
)
"""Words that ask rather than name: they count little when an answer is looked for."""

NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
"""Number words from zero on."""

SYNONYMS = """
price cost fee charge fare rate expensive
extra additional
heavy weigh weight
age old year
buy bought purchase
refund reimburse reimbursement repay
luggage baggage bag suitcase
change modify alter amend edit adjust
book booking reservation reserve ticket
arrive arrival land
depart departure leave left
choose choice select selection
send sent ship shipment shipping deliver delivery dispatch
repair fix mend
begin start commence
end finish conclude
delete remove erase uninstall
add append
child children kid
employee staff worker
employer company firm organisation organization
vacation holiday pto leave
sick ill illness
wage salary pay compensation
boss manager supervisor
doctor physician
phone telephone
email mail
address location place
broken defective faulty damaged
warranty guarantee
return exchange
high height tall
wide width
deep depth
long length
deadline due
reset restore
vacation holiday
crash hang freeze
bug defect issue problem
error failure fail
version release changelog
supported support compatible compatibility
allow permit permitted allowed
forbidden prohibited banned
discount rebate
member membership
maximum max limit most
minimum min least
car vehicle automobile
picture image photo photograph
film movie
city town
country nation
war conflict battle
author writer wrote write written
die died death dead
born birth birthday
live lived reside
found founded establish established
big large
fast quick rapid speed
empty vacant
wash clean cleaning rinse
charger charge charging
battery batteries
wireless wifi
login signin
password passcode
shop store retailer
order purchase
item product article
invoice bill
parcel package
money dollar dollars usd
hour hours hrs
minute minutes min
temperature hot heat
noise noisy loud
grow grew grown growth increase rise rose
decrease decline drop fall fell reduce reduction
win won victory
speak spoke spoken say said
impact effect consequence result outcome
method strategy approach technique
challenge difficulty
close closed
goal aim purpose objective
benefit advantage
cause reason
"""
"""One group a line: forms and words of which one may answer for another."""

FORMS = """
arrive arrival
begin began begun
break broke broken
buy bought
choose chose chosen choice
depart departure
die dead death
fly flight flew flown
get got gotten
give gave given
go went gone
grow grew grown growth
hold held
know knew known
lose lost loss
make made
pay paid payment
see saw seen
sell sold sale
send sent
speak spoke spoken
spend spent
take took taken
teach taught
think thought
win won
write wrote written
select selection
cancel cancellation
deliver delivery
reserve reservation
approve approval
weigh weight
"""
"""One group a line: forms of one word that its stem does not unite."""
