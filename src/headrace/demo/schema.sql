-- The demo airline's own operational database. It knows nothing of Headrace.
-- All times are the airline's local time (EST); prices are whole dollars.

create table airports (
    code text primary key check (code ~ '^[A-Z]{3}$'),
    city text not null
);

create table flights (
    flight_number    text primary key check (flight_number ~ '^HAT[0-9]{3}$'),
    origin           text not null references airports,
    destination      text not null references airports,
    route            text not null,
    departs          time not null,
    arrives          time not null,
    arrives_next_day boolean not null default false,
    check (origin <> destination),
    unique (flight_number, route)
);

-- A flight on one date: what is sold and what happens. Seats and prices stay when a flight stops being sold, so that
-- it can be put on sale again; they are unknown for dates that were never on sale here.
create table flight_dates (
    flight_number       text not null,
    flight_date         date not null,
    route               text not null,
    departs_at          timestamp not null,
    arrives_at          timestamp not null,
    status              text not null
        check (status in ('available', 'on time', 'delayed', 'flying', 'landed', 'cancelled')),
    basic_economy_seats integer check (basic_economy_seats between 0 and 100),
    economy_seats       integer check (economy_seats between 0 and 100),
    business_seats      integer check (business_seats between 0 and 100),
    basic_economy_price integer check (basic_economy_price between 1 and 10000),
    economy_price       integer check (economy_price between 1 and 10000),
    business_price      integer check (business_price between 1 and 10000),
    estimated_departure timestamp,
    estimated_arrival   timestamp,
    actual_departure    timestamp,
    actual_arrival      timestamp,
    primary key (flight_number, flight_date),
    foreign key (flight_number, route) references flights (flight_number, route) on update cascade,
    check (departs_at < arrives_at),
    constraint available_has_seats_and_prices check (
        status <> 'available'
        or num_nulls(
            basic_economy_seats, economy_seats, business_seats, basic_economy_price, economy_price, business_price
        ) = 0
    )
);

create table users (
    user_id          text primary key,
    name             text not null,
    email            text not null unique check (email like '%_@_%'),
    date_of_birth    date not null,
    address          jsonb not null,
    membership       text not null check (membership in ('regular', 'silver', 'gold')),
    saved_passengers jsonb not null default '[]' check (jsonb_typeof(saved_passengers) = 'array')
);

create table payment_methods (
    user_id    text not null references users,
    payment_id text not null,
    source     text not null check (source in ('credit card', 'gift card', 'certificate')),
    brand      text,
    last_four  text check (last_four ~ '^[0-9]{4}$'),
    amount     numeric(10, 2) check (amount >= 0),
    primary key (user_id, payment_id),
    check ((source = 'credit card') = (brand is not null and last_four is not null)),
    check ((source = 'credit card') = (amount is null))
);

create table reservations (
    reservation_id text primary key check (reservation_id ~ '^[A-Z0-9]{6}$'),
    user_id        text not null references users,
    status         text not null default 'booked' check (status in ('booked', 'cancelled')),
    origin         text not null references airports,
    destination    text not null references airports,
    trip_type      text not null check (trip_type in ('one way', 'round trip')),
    cabin          text not null check (cabin in ('basic economy', 'economy', 'business')),
    passengers     jsonb not null check (jsonb_array_length(passengers) between 1 and 5),
    insurance      boolean not null,
    total_bags     integer not null check (total_bags >= 0),
    extra_bags     integer not null check (extra_bags between 0 and total_bags),
    created_at     timestamp not null,
    unique (reservation_id, user_id, cabin)
);
create index reservations_user on reservations (user_id);

-- One flight of a reservation, with the route and times that were sold. Through its foreign key it belongs to the
-- reservation's user and keeps the reservation's cabin, which is the same on all flights of a reservation.
-- A cancelled reservation has none.
create table reservation_flights (
    reservation_id text not null,
    segment        integer not null check (segment >= 1),
    user_id        text not null,
    cabin          text not null,
    flight_number  text not null,
    flight_date    date not null,
    route          text not null,
    departs_at     timestamp not null,
    arrives_at     timestamp not null,
    price          integer not null check (price >= 0),
    primary key (reservation_id, segment),
    foreign key (reservation_id, user_id, cabin) references reservations (reservation_id, user_id, cabin)
        on update cascade,
    foreign key (flight_number, flight_date) references flight_dates
);
create index reservation_flights_flight on reservation_flights (flight_number, flight_date);
create index reservation_flights_user on reservation_flights (user_id);

-- What was paid for a reservation, and what was paid back (a negative amount).
create table payments (
    reservation_id text not null references reservations,
    payment        integer not null check (payment >= 1),
    user_id        text not null,
    payment_id     text not null,
    amount         numeric(10, 2) not null,
    paid_at        timestamp not null,
    primary key (reservation_id, payment),
    foreign key (user_id, payment_id) references payment_methods
);

-- Updates and deletes carry the old row into the write-ahead log, so that whoever follows it sees what a value was.
alter table flights replica identity full;
alter table flight_dates replica identity full;
alter table users replica identity full;
alter table reservations replica identity full;
alter table reservation_flights replica identity full;
