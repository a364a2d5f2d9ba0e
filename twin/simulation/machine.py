"""A program's machine, compiled: it keeps the order of `reference` to the tie, and takes some nanoseconds an event.

Timed events stand in the clock's bins, each a list by time: whatever the size of the day, setting one and finding the
next take a few steps. Events of no delay stand in a ring; where nothing else is pending at the instant, the task simply
goes on, as it does over a duration that ends before anything else (`HORIZON`). `p` is the program, `m` the memory (see
`flat`). All stands in this file: the cache on disk is renewed when it changes.
"""

import numpy as np

from twin.simulation.compiled import compiled, inlined, lowest_bit, pointer
from twin.simulation.draws import Seconds
from twin.simulation.flat import (
    ARGUMENT_BITS,
    ASKER,
    AWAIT,
    BECOMES,
    BEYOND,
    BIN_WORDS,
    BINS,
    CAPACITY,
    CHANGE_WORDS,
    CHANGED,
    CHOICE_WORDS,
    CHOICES,
    CHOOSE,
    CHOSEN,
    COLUMN,
    EARLIEST,
    END,
    FIRST,
    FIRST_S,
    GATES,
    GIVE,
    GIVE_CHOSEN,
    GOT,
    HEAD,
    HEADER,
    HORIZON,
    LAST_BIN,
    LATE,
    LEVELS,
    MARK_BITS,
    MARKS,
    NEXT,
    NEXT_CHANGE,
    NOW,
    OF_NEED,
    OF_PLACE,
    OP_BITS,
    OPEN,
    PLACES,
    PRIORITY,
    RANK,
    RING,
    RING_HEAD,
    RING_MASK,
    RING_TAIL,
    SECOND,
    SETTLED,
    SHIFT,
    SKIP,
    START,
    STARTS,
    STARTS_HEAD,
    STARTS_TAIL,
    STATE,
    TAIL,
    TAKE,
    UNTIL,
    USED,
    WAITER,
    WORDS,
    Ints,
)
from twin.simulation.program import NEVER

_OP = (1 << OP_BITS) - 1
_ARGUMENT = (1 << ARGUMENT_BITS) - 1
_EXTRA = OP_BITS + ARGUMENT_BITS
_IN_MARK = (1 << MARK_BITS) - 1
_OPENED, _OPEN = 1, 2


@compiled
def run_block(p: Ints, image: Ints, m: Ints, draws: Seconds, instants: Seconds, kept: Seconds, found: Seconds) -> None:
    """Fills `found`, shape (kept columns, replications), from `draws`, shape (replications, draws).

    `instants` is room for all columns of some replications.
    """
    size = len(instants)
    for first in range(0, len(draws), size):
        many = min(size, len(draws) - first)
        for row in range(many):
            m[: p[WORDS]] = image[: p[WORDS]]
            instants[row, :] = NEVER
            _replication(pointer(p), pointer(m), pointer(draws[first + row]), pointer(instants[row]))
        for number in range(len(kept)):
            for row in range(many):
                found[number, first + row] = instants[row, kept[number]]


@compiled
def _replication(p: Ints, m: Ints, draws: Seconds, instants: Seconds) -> None:
    while True:
        task = _next_task(p, m)
        if task == 0:
            return
        _look(p, m)
        _go_on(p, m, draws, instants, task)


@inlined
def _next_task(p: Ints, m: Ints) -> int:
    """Tasks that start, timed ones of this instant, those of no delay, then time goes on; 0 at the end."""
    while True:
        if m[STARTS_HEAD] < m[STARTS_TAIL]:
            m[STARTS_HEAD] += 1
            return int(m[p[STARTS] + m[STARTS_HEAD] - 1])
        task = m[p[BINS] + BIN_WORDS * m[EARLIEST] + HEAD]
        time = m[task + RANK]
        if time > m[NOW]:
            if m[RING_HEAD] != m[RING_TAIL]:
                entry = m[p[RING] + m[RING_HEAD]]
                m[RING_HEAD] = (m[RING_HEAD] + 1) & p[RING_MASK]
                if entry >= p[GATES]:
                    entry = _other_event(p, m, entry)
                if entry > 0:
                    return int(entry)
                continue
            second = p[m[NEXT_CHANGE] + SECOND]
            if second <= time:
                if second == LATE:
                    return 0
                _change(p, m)
                continue
            m[NOW] = time
        _unset(p, m, task)
        return int(task)


@inlined
def _look(p: Ints, m: Ints) -> None:
    """Notes when anything else happens, later than now where nothing does at this instant; else 0."""
    if m[RING_HEAD] != m[RING_TAIL] or m[STARTS_HEAD] != m[STARTS_TAIL]:
        m[HORIZON] = 0
    else:
        following = m[p[BINS] + BIN_WORDS * m[EARLIEST] + HEAD]
        m[HORIZON] = min(m[following + RANK], p[m[NEXT_CHANGE] + SECOND])


@inlined
def _set(p: Ints, m: Ints, task: int, time: int) -> None:
    """Puts a task in its bin of the clock. The number of a bin is the leading bits of its times as floating numbers."""
    late = np.float64(time + FIRST_S).view(np.int64) - np.float64(FIRST_S).view(np.int64)
    number = min(late >> p[SHIFT], p[LAST_BIN])
    m[EARLIEST] = min(m[EARLIEST], number)
    word = p[BINS] + BIN_WORDS * number
    if m[word + HEAD] != 0:
        _enqueue(m, task, word, time)
        return
    m[word + HEAD] = m[word + TAIL] = task
    m[task + NEXT], m[task + RANK] = 0, time
    for level in range(p[LEVELS]):
        m[p[MARKS + level] + (number >> MARK_BITS)] |= 1 << (number & _IN_MARK)
        number >>= MARK_BITS


@inlined
def _unset(p: Ints, m: Ints, task: int) -> None:
    """Takes the earliest task out of the clock."""
    number, after = m[EARLIEST], m[task + NEXT]
    m[p[BINS] + BIN_WORDS * number + HEAD] = after
    if after != 0:
        return
    empty = 1
    for level in range(p[LEVELS]):
        mark = p[MARKS + level] + (number >> MARK_BITS)
        m[mark] &= ~(empty << (number & _IN_MARK))
        empty = int(m[mark] == 0)
        number >>= MARK_BITS
    for level in range(p[LEVELS] - 1, -1, -1):
        number = number << MARK_BITS | lowest_bit(m[p[MARKS + level] + number])
    m[EARLIEST] = number


@compiled
def _change(p: Ints, m: Ints) -> None:
    """All changes of capacity of the next instant that has some."""
    row = m[NEXT_CHANGE]
    m[NOW] = p[row + SECOND]
    while p[row + SECOND] == m[NOW]:
        place, capacity = p[row + CHANGED], p[row + BECOMES]
        more = capacity - m[place + CAPACITY]
        m[place + CAPACITY] = capacity
        for _ in range(more):
            _hand_over(p, m, place)
        row += CHANGE_WORDS
    m[NEXT_CHANGE] = row


@inlined
def _push(p: Ints, m: Ints, entry: int) -> None:
    """An event of no delay: of a task that goes on, a gate, a choice that is got, a place to hand over."""
    m[p[RING] + m[RING_TAIL]] = entry
    m[RING_TAIL] = (m[RING_TAIL] + 1) & p[RING_MASK]
    m[HORIZON] = 0


@inlined
def _other_event(p: Ints, m: Ints, entry: int) -> int:
    """An event that is not a task's own; the task that it wakes, 0 for none."""
    if entry < p[CHOICES]:
        m[entry + STATE] = _OPEN
        return int(m[entry + WAITER])
    if entry < p[PLACES]:
        need = m[entry + OF_NEED]
        if not m[need + SETTLED]:  # the first place got of several wakes the task, in an event of its own
            m[need + SETTLED] = 1
            _push(p, m, m[entry + ASKER])
    else:
        _hand_over(p, m, entry)
    return 0


@inlined
def _go_on(p: Ints, m: Ints, draws: Seconds, instants: Seconds, task: int) -> None:
    """Performs a task's steps until one has to wait."""
    column = m[task + COLUMN]
    code = p[HEADER + column]
    if code & _OP >= GIVE:
        _done(p, m, code)
    while True:
        instants[column] = m[NOW]
        column += 1
        code = p[HEADER + column]
        while code & _OP == SKIP and draws[code >> OP_BITS & _ARGUMENT]:
            column = code >> _EXTRA
            code = p[HEADER + column]
        if code & _OP <= UNTIL:
            delay = draws[code >> OP_BITS & _ARGUMENT]
            if code & _OP == UNTIL:
                delay = max(delay - m[NOW], 0)
            if m[NOW] + delay < m[HORIZON]:
                m[NOW] += delay
                continue
            m[task + COLUMN] = column
            if delay == 0:
                _push(p, m, task)
            else:
                _set(p, m, task, m[NOW] + delay)
            return
        if not _at_once(p, m, code, task):
            m[task + COLUMN] = column
            if code & _OP == END:
                instants[column] = m[NOW]
            return


@inlined
def _at_once(p: Ints, m: Ints, code: int, task: int) -> bool:
    """Performs a step that takes no time; True where it is done already, its event being the next one anyway."""
    operation, argument = code & _OP, code >> OP_BITS & _ARGUMENT
    if operation == TAKE:
        if _free(m, argument):
            return _occupy(p, m, task, argument)
        _enqueue(m, task, argument, code >> _EXTRA)
        _hand_over(p, m, argument)
        return False
    if operation == GIVE:
        return _give(p, m, task, argument)
    if operation == OPEN:
        _open(p, m, argument, code >> _EXTRA)
        return True
    if operation == AWAIT:
        m[argument + WAITER] = task
        return bool(m[argument + STATE] == _OPEN)
    if operation == START:
        m[p[STARTS] + m[STARTS_TAIL]] = argument
        m[STARTS_TAIL] += 1
        m[HORIZON] = 0
        return True
    if operation == CHOOSE:
        return _choose(p, m, task, argument)
    if operation == GIVE_CHOSEN:
        return _give(p, m, task, m[argument + CHOSEN])
    return operation == SKIP


@inlined
def _open(p: Ints, m: Ints, gate: int, unseen: int) -> None:
    """`unseen`: who waits is another task, of second 0; not there yet, it comes after the gate's own, next event."""
    if unseen and m[HORIZON] > m[NOW] and m[gate + WAITER] == 0:
        m[gate + STATE] = _OPEN
        return
    m[gate + STATE] = _OPENED
    _push(p, m, gate)


@inlined
def _done(p: Ints, m: Ints, code: int) -> None:
    """What follows when the event of a step comes."""
    operation, argument = code & _OP, code >> OP_BITS & _ARGUMENT
    if operation == GIVE:
        _hand_over(p, m, argument)
    elif operation == GIVE_CHOSEN:
        _hand_over(p, m, m[argument + CHOSEN])
    elif m[argument + CHOSEN] == 0:
        _keep_first(p, m, argument)


@inlined
def _free(m: Ints, place: int) -> bool:
    return bool(m[place + HEAD] == 0 and m[place + USED] < m[place + CAPACITY])


@inlined
def _occupy(p: Ints, m: Ints, task: int, place: int) -> bool:
    m[place + USED] += 1
    if m[HORIZON] > m[NOW]:
        return True
    _push(p, m, task)
    return False


@inlined
def _give(p: Ints, m: Ints, task: int, place: int) -> bool:
    m[place + USED] -= 1
    if m[HORIZON] > m[NOW]:
        _hand_over(p, m, place)
        return True
    _push(p, m, task)
    return False


@inlined
def _enqueue(m: Ints, node: int, place: int, rank: int) -> None:
    """Behind those of the same rank."""
    m[node + RANK] = rank
    before, after = place, m[place + HEAD]
    if after > 0 and m[m[place + TAIL] + RANK] <= rank:
        before, after = m[place + TAIL], 0
    while after > 0 and m[after + RANK] <= rank:
        before, after = after, m[after + NEXT]
    m[node + NEXT] = after
    m[before + NEXT] = node  # of the place itself it is HEAD
    if after == 0:
        m[place + TAIL] = node


@inlined
def _hand_over(p: Ints, m: Ints, place: int) -> None:
    node = m[place + HEAD]
    if node == 0 or m[place + USED] >= m[place + CAPACITY]:
        return
    m[place + HEAD] = m[node + NEXT]
    m[place + USED] += 1
    if node >= p[CHOICES]:
        m[node + GOT] = 1
    _push(p, m, node)


@compiled
def _choose(p: Ints, m: Ints, task: int, need: int) -> bool:
    first, beyond = m[need + FIRST], m[need + BEYOND]
    for choice in range(first, beyond, CHOICE_WORDS):
        place = m[choice + OF_PLACE]
        if _free(m, place):
            m[need + CHOSEN] = place
            return _occupy(p, m, task, place)
    for choice in range(first, beyond, CHOICE_WORDS):
        place = m[choice + OF_PLACE]
        m[choice + ASKER] = task
        _enqueue(m, choice, place, m[need + PRIORITY])
        _hand_over(p, m, place)
    return False


@compiled
def _keep_first(p: Ints, m: Ints, need: int) -> None:
    """Of the places got the first is kept, the others are given back; what was not got is not waited for any more."""
    for choice in range(m[need + FIRST], m[need + BEYOND], CHOICE_WORDS):
        place = m[choice + OF_PLACE]
        if not m[choice + GOT]:
            _withdraw(m, choice, place)
        elif m[need + CHOSEN] == 0:
            m[need + CHOSEN] = place
        else:
            m[place + USED] -= 1
            _push(p, m, place)


@inlined
def _withdraw(m: Ints, node: int, place: int) -> None:
    before, here = place, m[place + HEAD]
    while here != node:
        before, here = here, m[here + NEXT]
    m[before + NEXT] = m[node + NEXT]
    if m[place + TAIL] == node:
        m[place + TAIL] = before
