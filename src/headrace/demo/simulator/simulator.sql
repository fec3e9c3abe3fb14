-- name: flights_on_sale
-- Future flight dates that are or were on sale.
select flight_number, flight_date
from flight_dates
where departs_at > %(now)s and business_seats is not null
order by flight_number, flight_date;

-- name: flights_of_today
-- Flights about to leave, whose status and estimated times change; those that were cancelled from there included.
select flight_number, flight_date
from flight_dates
where estimated_departure > %(now)s and business_seats is null
order by flight_number, flight_date;

-- name: flights_in_the_air
-- Flights whose estimated arrival changes.
select flight_number, flight_date
from flight_dates
where status = 'flying'
order by flight_number, flight_date;

-- name: flights_of_people
-- The coming flights of some people.
select flight_number, flight_date
from reservation_flights
where user_id = any(%(users)s) and departs_at > %(now)s
order by flight_number, flight_date;

-- name: other_users
-- Everyone but some people.
select user_id from users where user_id <> all(%(users)s) order by user_id;

-- name: lock_offer
-- Seats and prices of a flight date, held until the transaction ends. No row when it is not for sale.
select basic_economy_seats, economy_seats, business_seats, basic_economy_price, economy_price, business_price
from flight_dates
where (flight_number, flight_date) = (%(flight_number)s, %(flight_date)s) and status = 'available'
for update;

-- name: set_offer
-- New seats and prices of a flight date.
update flight_dates
set basic_economy_seats = %(basic_economy_seats)s,
    economy_seats = %(economy_seats)s,
    business_seats = %(business_seats)s,
    basic_economy_price = %(basic_economy_price)s,
    economy_price = %(economy_price)s,
    business_price = %(business_price)s
where (flight_number, flight_date) = (%(flight_number)s, %(flight_date)s);

-- name: lock_departure
-- Status and times of a flight about to leave, or in the air.
select status, departs_at, arrives_at, estimated_departure, estimated_arrival
from flight_dates
where (flight_number, flight_date) = (%(flight_number)s, %(flight_date)s)
for update;

-- name: set_departure
-- New status and estimated times.
update flight_dates
set status = %(status)s, estimated_departure = %(estimated_departure)s, estimated_arrival = %(estimated_arrival)s
where (flight_number, flight_date) = (%(flight_number)s, %(flight_date)s);

-- name: withdrawn_flights
-- Future flights that were on sale until they were cancelled.
select flight_number, flight_date
from flight_dates
where status = 'cancelled' and business_seats is not null
order by flight_number, flight_date;

-- name: withdraw_flight
-- Cancels a flight that is on sale.
update flight_dates
set status = 'cancelled'
where (flight_number, flight_date) = (%(flight_number)s, %(flight_date)s) and status = 'available';

-- name: put_on_sale_again
-- Takes the cancellation of a flight back.
update flight_dates
set status = 'available'
where (flight_number, flight_date) = (%(flight_number)s, %(flight_date)s) and status = 'cancelled';

-- name: customer
-- Who books: name, tier, and the people they may take along.
select name, date_of_birth::text, membership, saved_passengers from users where user_id = %(user_id)s;

-- name: lock_payment_methods
-- What a customer can pay with; certificates are left to be used by hand.
select payment_id, source, amount
from payment_methods
where user_id = %(user_id)s and source <> 'certificate'
order by payment_id
for update;

-- name: return_flight
-- The first flight back at least a day after arrival that has the seats.
select back.flight_number, back.flight_date
from flights there
join flights f on f.origin = there.destination and f.destination = there.origin
join flight_dates back on back.flight_number = f.flight_number
where there.flight_number = %(flight_number)s
  and back.flight_date > %(flight_date)s
  and back.status = 'available'
  and case %(cabin)s
          when 'business' then back.business_seats
          when 'economy' then back.economy_seats
          else back.basic_economy_seats
      end >= %(seats)s
order by back.flight_date, back.departs_at, back.flight_number
limit 1;

-- name: add_reservation
-- A booking; no row when its id is taken.
insert into reservations (
    reservation_id, user_id, origin, destination, trip_type, cabin, passengers, insurance, total_bags, extra_bags,
    created_at
)
select %(reservation_id)s, %(user_id)s, f.origin, f.destination, %(trip_type)s, %(cabin)s, %(passengers)s,
    %(insurance)s, %(total_bags)s, 0, %(now)s
from flights f
where f.flight_number = %(flight_number)s
on conflict (reservation_id) do nothing
returning reservation_id;

-- name: add_segment
-- One flight of a booking, with route and times as sold.
insert into reservation_flights (
    reservation_id, segment, user_id, cabin, flight_number, flight_date, route, departs_at, arrives_at, price
)
select %(reservation_id)s, %(segment)s, %(user_id)s, %(cabin)s, flight_number, flight_date, route, departs_at,
    arrives_at, %(price)s
from flight_dates
where (flight_number, flight_date) = (%(flight_number)s, %(flight_date)s);

-- name: add_payment
-- A payment for a new booking.
insert into payments (reservation_id, payment, user_id, payment_id, amount, paid_at)
values (%(reservation_id)s, 1, %(user_id)s, %(payment_id)s, %(amount)s, %(now)s);

-- name: charge_gift_card
-- A gift card has what is left of it; a credit card stays as it is.
update payment_methods
set amount = amount - %(amount)s
where (user_id, payment_id) = (%(user_id)s, %(payment_id)s) and source = 'gift card';

-- name: lock_cancellable
-- One reservation that the written policy lets its customer cancel, by chance: nothing of it is flown, and it is
-- business or insured.
select r.reservation_id, r.user_id, r.cabin, jsonb_array_length(r.passengers)
from reservations r
where r.status = 'booked'
  and r.user_id <> all(%(users)s)
  and (r.cabin = 'business' or r.insurance)
  and not exists (
      select from reservation_flights s
      where s.reservation_id = r.reservation_id and s.departs_at <= %(now)s
  )
order by md5(r.reservation_id || %(salt)s)
limit 1
for update;

-- name: release_segments
-- The flights of a cancelled reservation are free again.
delete from reservation_flights where reservation_id = %(reservation_id)s returning flight_number, flight_date;

-- name: cancel_reservation
-- The reservation stays, as cancelled.
update reservations set status = 'cancelled' where reservation_id = %(reservation_id)s;

-- name: refund
-- Back to the original payment methods.
with paid as (
    select user_id, payment_id, sum(amount) as amount, row_number() over (order by payment_id) as number
    from payments
    where reservation_id = %(reservation_id)s
    group by user_id, payment_id
),
returned as (
    update payment_methods m
    set amount = m.amount + paid.amount
    from paid
    where (m.user_id, m.payment_id) = (paid.user_id, paid.payment_id) and m.source = 'gift card'
)
insert into payments (reservation_id, payment, user_id, payment_id, amount, paid_at)
select
    %(reservation_id)s,
    paid.number + (select max(payment) from payments where reservation_id = %(reservation_id)s),
    paid.user_id, paid.payment_id, -paid.amount, %(now)s
from paid;

-- name: lock_membership
-- A customer's tier.
select membership from users where user_id = %(user_id)s for update;

-- name: set_membership
-- A customer's new tier.
update users set membership = %(membership)s where user_id = %(user_id)s;
