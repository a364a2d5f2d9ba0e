"""A program's machine, compiled: it keeps the order of `reference` to the tie, and takes some nanoseconds an event.

Timed events stand in a tournament tree of keys time | sequence | task, one leaf a task: a pass of minima, no branches.
Events of no delay stand in a ring; where nothing else is pending at the instant, the next one is known already, and the
task simply goes on (`QUIET`), as it does over a duration that ends before anything else (`HORIZON`). `p` is the
program, `m` the memory (see `flat`). All stands in this file: the cache on disk is renewed when the file changes.
"""

from twin.simulation.compiled import compiled, inlined, pointer
from twin.simulation.draws import Seconds
from twin.simulation.flat import (
    ASKED,
    AWAIT,
    BECOMES,
    CAPACITY,
    CHANGE,
    CHANGE_WORDS,
    CHANGES,
    CHOICE,
    CHOICE_BEGIN,
    CHOICES,
    CHOOSE,
    CHOSEN,
    CLOCK_BITS,
    CODES,
    COLUMN,
    END,
    EXTRAS,
    GATE,
    GATE_WORDS,
    GATES,
    GIVE,
    GIVE_CHOSEN,
    GOT,
    HEAD,
    HORIZON,
    LATE,
    LEAVES,
    NEXT,
    NEXT_CHANGE,
    NODE,
    NODE_WORDS,
    NOW,
    OF_PLACE,
    OP_BITS,
    OPEN,
    PLACE,
    PLACE_WORDS,
    PRIORITY,
    QUIET,
    RANK,
    RING,
    RING_HEAD,
    RING_MASK,
    RING_TAIL,
    SECOND,
    SEQUENCE,
    SETTLED,
    SKIP,
    START,
    STARTS,
    STARTS_HEAD,
    STARTS_TAIL,
    STATE,
    TAIL,
    TAKE,
    TASK_BITS,
    TASKS,
    TREE,
    UNTIL,
    USED,
    WAITER,
    Ints,
)
from twin.simulation.program import NEVER

_OP = (1 << OP_BITS) - 1
_OPENED, _OPEN = 1, 2


@compiled
def run_block(p: Ints, image: Ints, m: Ints, draws: Seconds, instants: Seconds) -> None:
    """Fills `instants`, shape (replications, columns), from `draws`, shape (replications, draws)."""
    for replication in range(draws.shape[0]):
        for word in range(len(image)):
            m[word] = image[word]
        for column in range(instants.shape[1]):
            instants[replication, column] = NEVER
        _replication(pointer(p), pointer(m), pointer(draws[replication]), pointer(instants[replication]))


@compiled
def _replication(p: Ints, m: Ints, draws: Seconds, instants: Seconds) -> None:
    """One event after the other: tasks that start, timed ones of this instant, those of no delay, then time goes on."""
    mask = (1 << p[TASK_BITS]) - 1
    while True:
        if m[STARTS_HEAD] < m[STARTS_TAIL]:
            task = m[p[STARTS] + m[STARTS_HEAD]]
            m[STARTS_HEAD] += 1
            _look(p, m, m[p[TREE] + 1])
            _go_on(p, m, draws, instants, task)
            continue
        key = m[p[TREE] + 1]
        time = key >> p[CLOCK_BITS]
        if time > m[NOW]:
            if m[RING_HEAD] != m[RING_TAIL]:
                _next_of_ring(p, m, draws, instants)
                continue
            if m[NEXT_CHANGE] < p[CHANGES] and _change(p, m, time):
                continue
            if key == LATE:
                return
        m[NOW] = time
        task = key & mask
        _look(p, m, _others(p, m, task))
        if not _go_on(p, m, draws, instants, task):
            _set_leaf(p, m, task, LATE)


@inlined
def _look(p: Ints, m: Ints, others: int) -> None:
    """Notes when anything else happens, and whether nothing else does at this instant."""
    horizon = others >> p[CLOCK_BITS]
    m[QUIET] = (horizon > m[NOW]) & (m[RING_HEAD] == m[RING_TAIL]) & (m[STARTS_HEAD] == m[STARTS_TAIL])
    if m[NEXT_CHANGE] < p[CHANGES]:
        horizon = min(horizon, p[p[CHANGE] + CHANGE_WORDS * m[NEXT_CHANGE] + SECOND])
    m[HORIZON] = horizon


@inlined
def _others(p: Ints, m: Ints, task: int) -> int:
    tree, node, best = p[TREE], task + p[LEAVES], LATE
    while node > 1:
        best = min(best, m[tree + (node ^ 1)])
        node >>= 1
    return best


@inlined
def _set_leaf(p: Ints, m: Ints, task: int, key: int) -> None:
    tree, node = p[TREE], task + p[LEAVES]
    m[tree + node] = key
    while node > 1:
        key = min(key, m[tree + (node ^ 1)])
        node >>= 1
        m[tree + node] = key


@inlined
def _change(p: Ints, m: Ints, until: int) -> bool:
    """All changes of capacity of the next instant that has some, no later than `until`; False where there is none."""
    row, end = p[CHANGE] + CHANGE_WORDS * m[NEXT_CHANGE], p[CHANGE] + CHANGE_WORDS * p[CHANGES]
    if p[row + SECOND] > until:
        return False
    m[NOW] = p[row + SECOND]
    while row < end and p[row + SECOND] == m[NOW]:
        place, capacity = p[row + OF_PLACE], p[row + BECOMES]
        word = p[PLACE] + PLACE_WORDS * place + CAPACITY
        more = capacity - m[word]
        m[word] = capacity
        for _ in range(more):
            _hand_over(p, m, place)
        m[NEXT_CHANGE] += 1
        row += CHANGE_WORDS
    return True


@inlined
def _push(p: Ints, m: Ints, entry: int) -> None:
    """An event of no delay: a task that goes on; past those a gate, then a choice got, then a place to hand over."""
    m[p[RING] + m[RING_TAIL]] = entry
    m[RING_TAIL] = (m[RING_TAIL] + 1) & p[RING_MASK]
    m[QUIET] = 0


@compiled
def _next_of_ring(p: Ints, m: Ints, draws: Seconds, instants: Seconds) -> None:
    task = m[p[RING] + m[RING_HEAD]]
    m[RING_HEAD] = (m[RING_HEAD] + 1) & p[RING_MASK]
    if task >= p[TASKS]:
        task = _other_event(p, m, task - p[TASKS])
    if task >= 0:
        _look(p, m, m[p[TREE] + 1])
        _go_on(p, m, draws, instants, task)


@inlined
def _other_event(p: Ints, m: Ints, entry: int) -> int:
    """An event that is not a task's own; the task that it wakes, -1 for none."""
    if entry < p[GATES]:
        gate = p[GATE] + GATE_WORDS * entry
        m[gate + STATE] = _OPEN
        return int(m[gate + WAITER])
    entry -= p[GATES]
    if entry < p[CHOICES]:
        task, need = m[p[ASKED] + 2 * entry], m[p[ASKED] + 2 * entry + 1]
        if not m[p[SETTLED] + need]:  # the first place got of several wakes the task, in an event of its own
            m[p[SETTLED] + need] = 1
            _push(p, m, task)
    else:
        _hand_over(p, m, entry - p[CHOICES])
    return -1


@compiled
def _go_on(p: Ints, m: Ints, draws: Seconds, instants: Seconds, task: int) -> bool:
    """Performs a task's steps until one has to wait; True where that is for a time to come."""
    column = m[p[COLUMN] + task]
    code = p[p[CODES] + column]
    if code & _OP > UNTIL:
        _done(p, m, code, column)
    while True:
        instants[column] = m[NOW]
        column += 1
        code = p[p[CODES] + column]
        while code & _OP == SKIP and draws[code >> OP_BITS]:
            column = p[p[EXTRAS] + column]
            code = p[p[CODES] + column]
        if code & _OP <= UNTIL:
            delay = draws[code >> OP_BITS]
            if code & _OP == UNTIL:
                delay = max(delay - m[NOW], 0)
            if m[QUIET] and m[NOW] + delay < m[HORIZON]:
                m[NOW] += delay
                continue
            m[p[COLUMN] + task] = column
            return _wait(p, m, task, delay)
        if not _at_once(p, m, code, column, task):
            m[p[COLUMN] + task] = column
            if code & _OP == END:
                instants[column] = m[NOW]
            return False


@inlined
def _wait(p: Ints, m: Ints, task: int, delay: int) -> bool:
    if delay == 0:
        _push(p, m, task)
        return False
    stamp = (m[SEQUENCE] << p[TASK_BITS]) | task
    _set_leaf(p, m, task, ((m[NOW] + delay) << p[CLOCK_BITS]) | stamp)
    m[SEQUENCE] += 1
    return True


@inlined
def _at_once(p: Ints, m: Ints, code: int, column: int, task: int) -> bool:
    """Performs a step that takes no time; True where it is done already, its event being the next one anyway."""
    operation, argument = code & _OP, code >> OP_BITS
    if operation == TAKE:
        if _free(p, m, argument):
            return _occupy(p, m, task, argument)
        _enqueue(p, m, task, argument, p[p[EXTRAS] + column])
        _hand_over(p, m, argument)
        return False
    if operation == GIVE:
        return _give(p, m, task, argument)
    if operation == OPEN:
        _open(p, m, argument, p[p[EXTRAS] + column])
        return True
    if operation == AWAIT:
        m[p[GATE] + GATE_WORDS * argument + WAITER] = task
        return bool(m[p[GATE] + GATE_WORDS * argument + STATE] == _OPEN)
    if operation == START:
        m[p[STARTS] + m[STARTS_TAIL]] = argument
        m[STARTS_TAIL] += 1
        m[QUIET] = 0
        return True
    if operation == CHOOSE:
        return _choose(p, m, task, argument)
    if operation == GIVE_CHOSEN:
        return _give(p, m, task, m[p[CHOSEN] + argument])
    return operation == SKIP


@inlined
def _open(p: Ints, m: Ints, gate: int, unseen: int) -> None:
    """`unseen`: who waits is another task, of second 0; not there yet, it comes after the gate's own, next event."""
    word = p[GATE] + GATE_WORDS * gate
    if unseen and m[QUIET] and m[word + WAITER] < 0:
        m[word + STATE] = _OPEN
        return
    m[word + STATE] = _OPENED
    _push(p, m, p[TASKS] + gate)


@inlined
def _done(p: Ints, m: Ints, code: int, column: int) -> None:
    """What follows when the event of a step comes."""
    operation, argument = code & _OP, code >> OP_BITS
    if operation == GIVE:
        _hand_over(p, m, argument)
    elif operation == GIVE_CHOSEN:
        _hand_over(p, m, m[p[CHOSEN] + argument])
    elif operation == CHOOSE and m[p[CHOSEN] + argument] < 0:
        _keep_first(p, m, argument)


@inlined
def _free(p: Ints, m: Ints, resource: int) -> bool:
    place = p[PLACE] + PLACE_WORDS * resource
    return bool(m[place + HEAD] < 0 and m[place + USED] < m[place + CAPACITY])


@inlined
def _occupy(p: Ints, m: Ints, task: int, resource: int) -> bool:
    m[p[PLACE] + PLACE_WORDS * resource + USED] += 1
    if m[QUIET]:
        return True
    _push(p, m, task)
    return False


@inlined
def _give(p: Ints, m: Ints, task: int, resource: int) -> bool:
    m[p[PLACE] + PLACE_WORDS * resource + USED] -= 1
    if m[QUIET]:
        _hand_over(p, m, resource)
        return True
    _push(p, m, task)
    return False


@inlined
def _enqueue(p: Ints, m: Ints, node: int, resource: int, priority: int) -> None:
    place, nodes = p[PLACE] + PLACE_WORDS * resource, p[NODE]
    word = nodes + NODE_WORDS * node
    m[word + RANK] = priority
    before, after = -1, m[place + HEAD]
    if after >= 0 and m[nodes + NODE_WORDS * m[place + TAIL] + RANK] <= priority:
        before, after = m[place + TAIL], -1
    while after >= 0 and m[nodes + NODE_WORDS * after + RANK] <= priority:
        before, after = after, m[nodes + NODE_WORDS * after + NEXT]
    m[word + NEXT] = after
    if before < 0:
        m[place + HEAD] = node
    else:
        m[nodes + NODE_WORDS * before + NEXT] = node
    if after < 0:
        m[place + TAIL] = node


@inlined
def _hand_over(p: Ints, m: Ints, resource: int) -> None:
    place = p[PLACE] + PLACE_WORDS * resource
    node = m[place + HEAD]
    if node < 0 or m[place + USED] >= m[place + CAPACITY]:
        return
    m[place + HEAD] = m[p[NODE] + NODE_WORDS * node + NEXT]
    m[place + USED] += 1
    if node < p[TASKS]:
        _push(p, m, node)
    else:
        m[p[GOT] + node - p[TASKS]] = 1
        _push(p, m, node + p[GATES])


@inlined
def _choose(p: Ints, m: Ints, task: int, need: int) -> bool:
    first, end = p[p[CHOICE_BEGIN] + need], p[p[CHOICE_BEGIN] + need + 1]
    for choice in range(first, end):
        resource = p[p[CHOICE] + choice]
        if _free(p, m, resource):
            m[p[CHOSEN] + need] = resource
            return _occupy(p, m, task, resource)
    for choice in range(first, end):
        resource = p[p[CHOICE] + choice]
        m[p[ASKED] + 2 * choice], m[p[ASKED] + 2 * choice + 1] = task, need
        _enqueue(p, m, p[TASKS] + choice, resource, p[p[PRIORITY] + need])
        _hand_over(p, m, resource)
    return False


@inlined
def _keep_first(p: Ints, m: Ints, need: int) -> None:
    """Of the places got the first is kept, the others are given back; what was not got is not waited for any more."""
    for choice in range(p[p[CHOICE_BEGIN] + need], p[p[CHOICE_BEGIN] + need + 1]):
        resource = p[p[CHOICE] + choice]
        if not m[p[GOT] + choice]:
            _withdraw(p, m, p[TASKS] + choice, resource)
        elif m[p[CHOSEN] + need] < 0:
            m[p[CHOSEN] + need] = resource
        else:
            m[p[PLACE] + PLACE_WORDS * resource + USED] -= 1
            _push(p, m, p[TASKS] + p[GATES] + p[CHOICES] + resource)


@inlined
def _withdraw(p: Ints, m: Ints, node: int, resource: int) -> None:
    place, nodes = p[PLACE] + PLACE_WORDS * resource, p[NODE]
    before, here = -1, m[place + HEAD]
    while here != node:
        before, here = here, m[nodes + NODE_WORDS * here + NEXT]
    after = m[nodes + NODE_WORDS * node + NEXT]
    if before < 0:
        m[place + HEAD] = after
    else:
        m[nodes + NODE_WORDS * before + NEXT] = after
    if m[place + TAIL] == node:
        m[place + TAIL] = before
