/* wsbench.native._echo: the table of echo_core.h as a Python object. It holds the interpreter's lock throughout. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "echo_core.h"

enum { LARGEST_BATCH = 64, LARGEST_DESCRIPTOR = 1 << 24, LARGEST_PLACE = 1 << 30 };

typedef struct {
    PyObject_HEAD
    table_t table;
    PyObject *source; /* the bytes object with the payload, or with the noise */
} Table;

/* -- conversions --------------------------------------------------------------------------------------------------- */

static bool checked(bool condition, const char *message) {
    if (!condition)
        PyErr_SetString(PyExc_ValueError, message);
    return condition;
}

/* Differences of such instants do not overflow. */
static bool checked_instant(long long instant_ns) {
    return checked(instant_ns >= 0 && instant_ns <= INT64_MAX / 2, "not an instant");
}

static bool checked_slot(const Table *self, unsigned int slot) {
    return checked(slot < self->table.slots_size && self->table.slots[slot].open, "no such tally");
}

static connection_t *checked_connection(const Table *self, int fd) {
    connection_t *connection = connection_of(&self->table, fd);
    checked(connection != NULL, "no such connection");
    return connection;
}

/* Append a new reference, and release it; false after an error. */
static bool append(PyObject *list, PyObject *item) {
    bool done = item != NULL && PyList_Append(list, item) == 0;
    Py_XDECREF(item);
    return done;
}

static PyObject *leftover_object(int fd, const leftover_t *leftover) {
    static const uint8_t nothing[1]; /* NULL would be None */
    const uint8_t *unsent = leftover->unsent != NULL ? leftover->unsent : nothing;
    const uint8_t *rest = leftover->rest != NULL ? leftover->rest : nothing;
    return Py_BuildValue("(iy#iiy#LL)", fd, (const char *)unsent, (Py_ssize_t)leftover->unsent_size,
                         leftover->send_error, leftover->read_error, (const char *)rest,
                         (Py_ssize_t)leftover->rest_size, (long long)leftover->arrived_ns,
                         (long long)leftover->handled_ns);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

static bool set_messages(messages_t *messages, PyObject *source, int padded, unsigned long long places,
                         unsigned long long stride, unsigned long long period) {
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(source, &data, &size) < 0)
        return false;
    if (!padded) {
        messages->payload = (const uint8_t *)data;
        return checked(size == (Py_ssize_t)messages->size, "the payload has another size");
    }
    messages->noise = (const uint8_t *)data;
    messages->places = places;
    messages->stride = stride;
    messages->period = period;
    return checked(places > 0 && period > 0 && places <= LARGEST_PLACE && stride <= LARGEST_PLACE,
                   "not a padding") &&
           checked((unsigned long long)size >= places + messages->size, "too little noise");
}

static PyObject *Table_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"size",   "first_byte", "window", "timeout_ns", "source",
                            "padded", "places",     "stride", "period",     NULL};
    unsigned int size, first_byte, window;
    long long timeout_ns;
    PyObject *source;
    int padded;
    unsigned long long places, stride, period;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "IIILSpKKK", names, &size, &first_byte, &window, &timeout_ns,
                                     &source, &padded, &places, &stride, &period))
        return NULL;
    if (!checked(size <= LARGEST_PAYLOAD, "the payload is too large") ||
        !checked(first_byte <= UINT8_MAX, "not a byte") ||
        !checked(window <= LARGEST_WINDOW, "the window is too large") ||
        !checked(timeout_ns >= 0, "the timeout is negative"))
        return NULL;
    messages_t messages = {.size = size};
    if (!set_messages(&messages, source, padded, places, stride, period))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Table *self = (Table *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    self->source = Py_NewRef(source);
    if (!table_init(&self->table, &messages, (uint8_t)first_byte, window, timeout_ns)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void Table_dealloc(PyObject *object) {
    Table *self = (Table *)object;
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    table_free(&self->table);
    Py_XDECREF(self->source);
    release(self);
    Py_DECREF(type);
}

/* -- tallies ------------------------------------------------------------------------------------------------------- */

static PyObject *Table_open_tally(Table *self, PyObject *Py_UNUSED(none)) {
    int64_t slot = slot_open(&self->table);
    return slot < 0 ? PyErr_NoMemory() : PyLong_FromLongLong(slot);
}

static PyObject *Table_close_tally(Table *self, PyObject *args) {
    unsigned int slot;
    if (!PyArg_ParseTuple(args, "I", &slot) || !checked_slot(self, slot) ||
        !checked(slot_close(&self->table, slot), "messages of the tally are in flight"))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *Table_take_counts(Table *self, PyObject *args) {
    unsigned int number;
    if (!PyArg_ParseTuple(args, "I", &number) || !checked_slot(self, number))
        return NULL;
    slot_t *slot = &self->table.slots[number];
    PyObject *counts = Py_BuildValue("(LLL)", (long long)slot->sent, (long long)slot->received,
                                     (long long)slot->user_stamped);
    if (counts != NULL)
        slot->sent = slot->received = slot->user_stamped = 0;
    return counts;
}

/* The keys and the counts of one distribution, as bytes of int64. */
static PyObject *sparse(const int64_t *buckets) {
    Py_ssize_t filled = 0;
    for (int key = 0; key <= HIGHEST_KEY; key++)
        filled += buckets[key] != 0;
    const Py_ssize_t size = filled * (Py_ssize_t)sizeof(int64_t);
    PyObject *keys = PyBytes_FromStringAndSize(NULL, size), *counts = PyBytes_FromStringAndSize(NULL, size);
    if (keys == NULL || counts == NULL) {
        Py_XDECREF(keys);
        Py_XDECREF(counts);
        return NULL;
    }
    char *key_at = PyBytes_AsString(keys), *count_at = PyBytes_AsString(counts);
    for (int64_t key = 0; key <= HIGHEST_KEY; key++) {
        if (buckets[key] != 0) {
            memcpy(key_at, &key, sizeof key);
            memcpy(count_at, &buckets[key], sizeof buckets[key]);
            key_at += sizeof key;
            count_at += sizeof key;
        }
    }
    return Py_BuildValue("(NN)", keys, counts);
}

static PyObject *Table_take_buckets(Table *self, PyObject *args) {
    unsigned int number;
    if (!PyArg_ParseTuple(args, "I", &number) || !checked_slot(self, number))
        return NULL;
    slot_t *slot = &self->table.slots[number];
    PyObject *distributions = PyList_New(0);
    if (distributions == NULL || slot->buckets == NULL)
        return distributions;
    for (int series = 0; series < (self->table.window > 0 ? 2 : MOST_SERIES); series++) {
        if (!append(distributions, sparse(slot->buckets + (size_t)series * (HIGHEST_KEY + 1)))) {
            Py_DECREF(distributions);
            return NULL;
        }
    }
    free(slot->buckets);
    slot->buckets = NULL;
    return distributions;
}

static PyObject *Table_take_outside(Table *self, PyObject *args) {
    unsigned int number;
    if (!PyArg_ParseTuple(args, "I", &number) || !checked_slot(self, number))
        return NULL;
    slot_t *slot = &self->table.slots[number];
    PyObject *values = PyList_New(0);
    for (uint32_t place = 0; values != NULL && place < slot->outside_count; place++) {
        const outside_t *outside = &slot->outside[place];
        if (!append(values, Py_BuildValue("(iL)", (int)outside->series, (long long)outside->value_ns))) {
            Py_DECREF(values);
            return NULL;
        }
    }
    if (values != NULL)
        slot->outside_count = 0;
    return values;
}

static PyObject *Table_follow(Table *self, PyObject *args) {
    unsigned int slot;
    long long start_ns, end_ns;
    int active;
    if (!PyArg_ParseTuple(args, "ILLp", &slot, &start_ns, &end_ns, &active) || !checked_slot(self, slot))
        return NULL;
    self->table.slot = slot;
    self->table.start_ns = start_ns;
    self->table.end_ns = end_ns;
    self->table.active = active;
    Py_RETURN_NONE;
}

/* -- connections --------------------------------------------------------------------------------------------------- */

static PyObject *Table_put(Table *self, PyObject *args) {
    int fd;
    unsigned long long id, oldest;
    PyObject *flights;
    if (!PyArg_ParseTuple(args, "iKKO!", &fd, &id, &oldest, &PyList_Type, &flights) ||
        !checked(fd >= 0 && fd <= LARGEST_DESCRIPTOR, "not a descriptor") ||
        !checked(connection_of(&self->table, fd) == NULL, "the connection is in the table"))
        return NULL;
    Py_ssize_t count = PyList_Size(flights);
    if (count < 0 || !checked(count <= LARGEST_WINDOW, "too many messages in flight"))
        return NULL;
    connection_t *connection = connection_put(&self->table, (uint32_t)fd, id, oldest, (uint32_t)count);
    if (connection == NULL)
        return PyErr_NoMemory();
    for (Py_ssize_t place = 0; place < count; place++) {
        long long due_ns, sent_ns;
        unsigned int slot;
        PyObject *flight = PyList_GetItem(flights, place);
        if (flight == NULL || !checked(PyTuple_Check(flight), "not a flight") ||
            !PyArg_ParseTuple(flight, "LLI", &due_ns, &sent_ns, &slot) || !checked_slot(self, slot) ||
            !checked_instant(due_ns) || !checked_instant(sent_ns) ||
            !checked(flight_push(&self->table, connection, (flight_t){due_ns, sent_ns, slot}), "no room")) {
            connection_take(&self->table, connection);
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *Table_take(Table *self, PyObject *args) {
    int fd;
    connection_t *connection;
    if (!PyArg_ParseTuple(args, "i", &fd) || (connection = checked_connection(self, fd)) == NULL)
        return NULL;
    PyObject *flights = PyList_New(0), *matched = PyBytes_FromStringAndSize(NULL, connection->matched);
    bool done = flights != NULL && matched != NULL;
    if (done && connection->matched > 0)
        done = checked(matched_bytes(&self->table, connection, (uint8_t *)PyBytes_AsString(matched)), "no room");
    for (uint32_t place = 0; done && place < connection->count; place++) {
        const flight_t *flight = flight_at(connection, place);
        done = append(flights, Py_BuildValue("(LLI)", (long long)flight->due_ns, (long long)flight->sent_ns,
                                             (unsigned int)flight->slot));
    }
    if (!done) {
        Py_XDECREF(flights);
        Py_XDECREF(matched);
        return NULL;
    }
    connection_take(&self->table, connection);
    return Py_BuildValue("(KNN)", (unsigned long long)connection->oldest, flights, matched);
}

static PyObject *Table_in_flight(Table *self, PyObject *args) {
    int fd;
    connection_t *connection;
    if (!PyArg_ParseTuple(args, "i", &fd) || (connection = checked_connection(self, fd)) == NULL)
        return NULL;
    return PyLong_FromUnsignedLong(connection->count);
}

static PyObject *Table_oldest_due_ns(Table *self, PyObject *args) {
    int fd;
    connection_t *connection;
    if (!PyArg_ParseTuple(args, "i", &fd) || (connection = checked_connection(self, fd)) == NULL)
        return NULL;
    if (connection->count == 0)
        Py_RETURN_NONE;
    return PyLong_FromLongLong(flight_at(connection, 0)->due_ns);
}

/* -- work ---------------------------------------------------------------------------------------------------------- */

/* Edge-triggered sockets are reported when bytes arrive: report one again, of which bytes may be left. */
static bool report_again(int epoll_fd, int fd, uint32_t mask) {
    struct epoll_event event = {.events = mask, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0)
        return true;
    PyErr_SetFromErrno(PyExc_OSError);
    return false;
}

static PyObject *Table_poll(Table *self, PyObject *args) {
    int epoll_fd;
    unsigned int mask, limit;
    if (!PyArg_ParseTuple(args, "iII", &epoll_fd, &mask, &limit) ||
        !checked(limit > 0 && limit <= LARGEST_BATCH, "not a batch"))
        return NULL;
    struct epoll_event events[LARGEST_BATCH];
    int ready = epoll_wait(epoll_fd, events, (int)limit, 0);
    if (ready < 0 && errno != EINTR)
        return PyErr_SetFromErrno(PyExc_OSError);
    table_t *table = &self->table;
    table->bytes_received = table->bytes_sent = 0;
    PyObject *others = PyList_New(0), *leftovers = PyList_New(0);
    bool done = others != NULL && leftovers != NULL;
    for (int place = 0; done && place < ready; place++) {
        const int fd = events[place].data.fd;
        const uint32_t what = events[place].events;
        leftover_t leftover;
        enum served outcome = what == EPOLLIN ? serve(table, fd, &leftover) : NOT_SERVED;
        if (outcome == NOT_SERVED)
            done = append(others, Py_BuildValue("(iI)", fd, (unsigned int)what));
        else if (outcome == SERVED_A_PART)
            done = report_again(epoll_fd, fd, mask);
        else if (outcome == LEFT_OVER)
            done = append(leftovers, leftover_object(fd, &leftover));
    }
    if (!done) {
        Py_XDECREF(others);
        Py_XDECREF(leftovers);
        return NULL;
    }
    return Py_BuildValue("(iLLNN)", ready > 0 ? ready : 0, (long long)table->bytes_received,
                         (long long)table->bytes_sent, others, leftovers);
}

static PyObject *Table_fire(Table *self, PyObject *args) {
    PyObject *due;
    if (!PyArg_ParseTuple(args, "O!", &PyList_Type, &due))
        return NULL;
    Py_ssize_t count = PyList_Size(due);
    if (count < 0)
        return NULL;
    table_t *table = &self->table;
    table->bytes_sent = 0;
    PyObject *unsent = PyList_New(0), *leftovers = PyList_New(0);
    bool done = unsent != NULL && leftovers != NULL;
    for (Py_ssize_t place = 0; done && place < count; place++) {
        long long due_ns;
        int fd;
        leftover_t leftover;
        PyObject *item = PyList_GetItem(due, place);
        done = item != NULL && checked(PyTuple_Check(item), "not an instant") &&
               PyArg_ParseTuple(item, "Li", &due_ns, &fd) && checked_instant(due_ns);
        if (done && fire(table, fd, due_ns, &leftover) == LEFT_OVER)
            done = leftover.unsent != NULL ? append(leftovers, leftover_object(fd, &leftover))
                                           : append(unsent, PyLong_FromSsize_t(place));
    }
    if (!done) {
        Py_XDECREF(unsent);
        Py_XDECREF(leftovers);
        return NULL;
    }
    return Py_BuildValue("(LNN)", (long long)table->bytes_sent, unsent, leftovers);
}

static PyObject *Table_payload(Table *self, PyObject *args) {
    unsigned long long id, seq;
    if (!PyArg_ParseTuple(args, "KK", &id, &seq))
        return NULL;
    PyObject *payload = PyBytes_FromStringAndSize(NULL, self->table.messages.size);
    if (payload != NULL &&
        !checked(message_payload(&self->table.messages, id, seq, (uint8_t *)PyBytes_AsString(payload)),
                 "the numbers do not fit into the message")) {
        Py_DECREF(payload);
        return NULL;
    }
    return payload;
}

static PyObject *echo_bucket_key(PyObject *Py_UNUSED(module), PyObject *value) {
    long long value_ns = PyLong_AsLongLong(value);
    if (value_ns == -1 && PyErr_Occurred())
        return NULL;
    return PyLong_FromLong(bucket_key(value_ns));
}

/* -- the module ---------------------------------------------------------------------------------------------------- */

#define METHOD(name, flags) {#name, (PyCFunction)(void (*)(void))Table_##name, flags, NULL}

static PyMethodDef methods[] = {
    METHOD(open_tally, METH_NOARGS),
    METHOD(close_tally, METH_VARARGS),
    METHOD(take_counts, METH_VARARGS),
    METHOD(take_buckets, METH_VARARGS),
    METHOD(take_outside, METH_VARARGS),
    METHOD(follow, METH_VARARGS),
    METHOD(put, METH_VARARGS),
    METHOD(take, METH_VARARGS),
    METHOD(in_flight, METH_VARARGS),
    METHOD(oldest_due_ns, METH_VARARGS),
    METHOD(poll, METH_VARARGS),
    METHOD(fire, METH_VARARGS),
    METHOD(payload, METH_VARARGS),
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, (void *)Table_new},
    {Py_tp_dealloc, (void *)Table_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {"wsbench.native._echo.Table", sizeof(Table), 0, Py_TPFLAGS_DEFAULT, slots};

static PyMethodDef functions[] = {
    {"bucket_key", echo_bucket_key, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    if (type == NULL)
        return -1;
    int failed = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return failed || PyModule_AddIntConstant(module, "LARGEST_PAYLOAD", LARGEST_PAYLOAD) ||
                   PyModule_AddIntConstant(module, "LARGEST_WINDOW", LARGEST_WINDOW)
               ? -1
               : 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, (void *)execute}, {0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_echo", NULL, 0, functions, module_slots, NULL, NULL,
                                        NULL};

PyMODINIT_FUNC PyInit__echo(void) { return PyModuleDef_Init(&definition); }
