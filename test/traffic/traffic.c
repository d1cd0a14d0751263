/*
 * Causes packet drops of one known kind, for the kernel tests and the benchmark.
 *
 *   gcc -O2 -o traffic traffic.c
 *   ./traffic socket-filter --count 1000
 *
 * README.md beside this file says which drop reason each kind really causes.
 * Stdout carries one JSON object a line:
 *   {"ready":true,"pid":P,"inode":N,"port":N,"inodes":[…],"ports":[…]}   the sockets exist; inode is the N of socket:[N]
 *   {"sent":N,"ns":T,"fit":N}                            the end: T nanoseconds of the sending loop, CLOCK_MONOTONIC
 * The inode and port are those of the first receiving socket, and only there where this process has one. The port of a
 * raw socket is its IP protocol, that of a unix socket the number in its name.
 *
 * Traffic never leaves the machine: outside a network namespace that the tests made, only loopback is a target.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/sched.h>
#include <linux/sock_diag.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SOCKETS = 4096, MAX_PORTS = 60000, MAX_PAYLOAD = 65000, MAX_FRAME = 1514, MAX_BATCH = 64 };
#define MAX_COUNT 1000000000L
#define SECOND 1000000000L

static struct options {
  long count, rate, batch, cpu, family, port, ports, sockets, size, hold, holders, pid;
  const char *address, *source, *device, *mac, *protocol, *variant;
  bool receiver_only, sender_only, start_on_stdin;
} opt = {.count = 1000, .batch = 32, .cpu = -1, .family = 4, .ports = 1, .sockets = 1, .size = 16, .hold = -1,
         .holders = 1, .protocol = "udp", .variant = "all"};

static volatile sig_atomic_t stopped;

static void on_signal(int signal) {
  (void)signal;
  stopped = 1;
}

static _Noreturn void die(const char *what) {
  fprintf(stderr, "traffic: Cannot %s: %s\n", what, strerror(errno));
  exit(1);
}

static _Noreturn void misuse(const char *what, const char *value) {
  fprintf(stderr, "traffic: %s: %s\n", what, value);
  exit(2);
}

/* ---- addresses ---- */

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_un un;
} address_t;

/* An address of a unix socket that has a port too: in the abstract namespace, which is each network namespace's own. */
#define UNIX_NAME "dw-traffic-%05ld"
enum { UNIX_NAME_LENGTH = 16 };

static socklen_t length_of(const address_t *a) {
  if (a->any.sa_family == AF_UNIX) return offsetof(struct sockaddr_un, sun_path) + 1 + UNIX_NAME_LENGTH;
  return a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}

static int domain(void) { return opt.family == 6 ? AF_INET6 : AF_INET; }

static address_t address_of(const char *text, long port) {
  address_t a = {0};
  a.any.sa_family = domain();
  void *where = opt.family == 6 ? (void *)&a.v6.sin6_addr : (void *)&a.v4.sin_addr;
  if (inet_pton(domain(), text, where) != 1) misuse("Not an address of this --family", text);
  if (opt.family == 6) a.v6.sin6_port = htons(port);
  else a.v4.sin_port = htons(port);
  return a;
}

static address_t unix_address(long port) {
  address_t a = {0};
  a.any.sa_family = AF_UNIX;
  snprintf(a.un.sun_path + 1, UNIX_NAME_LENGTH + 1, UNIX_NAME, port);
  return a;
}

static long port_of(const address_t *a) {
  long port = 0;
  if (a->any.sa_family == AF_UNIX) return sscanf(a->un.sun_path + 1, UNIX_NAME, &port) == 1 ? port : 0;
  return ntohs(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
}

static bool is_loopback(const address_t *a) {
  return a->any.sa_family == AF_INET ? ntohl(a->v4.sin_addr.s_addr) >> 24 == 127
                                     : IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

/* True in a namespace that the tests made: not that of who started us, and with a device that is called as theirs are. */
static bool in_test_netns(void) {
  char parent[64];
  struct stat own, outside;
  snprintf(parent, sizeof parent, "/proc/%d/ns/net", getppid());
  return !stat("/proc/self/ns/net", &own) && !stat(parent, &outside) && own.st_ino != outside.st_ino &&
         (if_nametoindex("veth-a") || if_nametoindex("veth-b"));
}

/* The address to send to: --address, or loopback. */
static address_t target(long port) {
  address_t a = address_of(opt.address ? opt.address : opt.family == 6 ? "::1" : "127.0.0.1", port);
  if (!is_loopback(&a) && !in_test_netns())
    misuse("Only loopback is a target outside the tests' network namespaces", opt.address);
  return a;
}

/* ---- time ---- */

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static int receivers[MAX_SOCKETS];
static int receiver_count;

static void close_receivers(void) {
  while (receiver_count) close(receivers[--receiver_count]);
}

/* Sleeps until `until`; ends early on a signal, or when whoever drives us through stdin is gone. */
static void sleep_until(int64_t until) {
  for (int64_t left; !stopped && (left = until - now()) > 0;) {
    struct timespec t = {left / SECOND, left % SECOND};
    struct pollfd in = {.fd = opt.start_on_stdin ? 0 : -1, .events = POLLIN};
    if (ppoll(&in, 1, &t, NULL) > 0) {
      char c;
      if (read(0, &c, 1) <= 0) stopped = 1;
      else if (opt.holders > 1) close_receivers(); /* the others have them still */
    }
  }
}

/*
 * Waits for the time of the i-th send; false when there is to be none.
 * It keeps to --rate by the clock, so that a late send doesn't delay those after it.
 */
static bool pace(long i, int64_t start) {
  if (opt.rate > 0) sleep_until(start + (int64_t)((double)i * SECOND / opt.rate));
  return !stopped;
}

/* ---- what is said on stdout, and the wait for the start ---- */

static long local_port(int fd) {
  address_t a = {0};
  socklen_t n = sizeof a;
  if (getsockname(fd, &a.any, &n)) die("read a socket's port");
  return port_of(&a);
}

static void announce(void) {
  printf("{\"ready\":true,\"pid\":%d", getpid());
  if (receiver_count) {
    struct stat s;
    for (int i = 0; i < receiver_count; i++) {
      if (fstat(receivers[i], &s)) die("read a socket's inode");
      if (i == 0) printf(",\"inode\":%lu,\"port\":%ld,\"inodes\":[", s.st_ino, local_port(receivers[i]));
      printf(i ? ",%lu" : "%lu", s.st_ino);
    }
    for (int i = 0; i < receiver_count; i++) printf(i ? ",%ld" : "],\"ports\":[%ld", local_port(receivers[i]));
    printf("]");
  }
  printf("}\n");
  fflush(stdout);
}

static void ready(void) {
  announce();
  if (opt.start_on_stdin) {
    char c = 0;
    while (c != '\n' && !stopped)
      if (read(0, &c, 1) <= 0) stopped = 1;
  }
}

/* `fit`: what had room and so was not dropped; it isn't counted in `sent`. */
static void finish(long sent, int64_t ns, long fit) {
  printf("{\"sent\":%ld,\"ns\":%ld,\"fit\":%ld}\n", sent, (long)ns, fit);
  fflush(stdout);
  if (opt.hold > 0) sleep_until(now() + opt.hold * SECOND);
}

/* ---- sockets ---- */

static void set(int fd, int level, int name, int value, const char *what) {
  if (setsockopt(fd, level, name, &value, sizeof value)) die(what);
}

static int open_socket(int type, int protocol) {
  int fd = socket(domain(), type | SOCK_CLOEXEC, protocol);
  if (fd < 0) die("open a socket");
  return fd;
}

static bool bind_from(int fd, long port) {
  address_t a = address_of(opt.source ? opt.source : opt.family == 6 ? "::" : "0.0.0.0", port);
  return !bind(fd, &a.any, length_of(&a));
}

/* Raw sockets and packets of the IP protocol --port, in place of UDP. */
static bool raw;

/*
 * A socket to send to the ports first…last from. Its own port is none of them: it would receive what it sends.
 * Its buffer is large, so that packets that wait in a queue don't block it.
 */
static int open_sender(long first, long last) {
  /* One of IPPROTO_RAW receives nothing, so none of what it sends; the IP header is ours to write. */
  int fd = raw ? open_socket(SOCK_RAW, IPPROTO_RAW) : open_socket(SOCK_DGRAM, 0), large = 256 << 20;
  if (!raw && !bind_from(fd, 0)) die("bind the sender");
  if (!raw && local_port(fd) >= first && local_port(fd) <= last) {
    close(fd);
    fd = open_socket(SOCK_DGRAM, 0);
    long port = last + 1;
    while (port < 65536 && !bind_from(fd, port)) port++;
    if (port == 65536)
      for (port = first - 1; port > 0 && !bind_from(fd, port);) port--;
    if (port <= 0) die("find a port to send from");
  }
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof large);
  if (opt.device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, opt.device, strlen(opt.device)))
    die("bind to --device");
  return fd;
}

static void attach(int fd, struct sock_filter *code, int length) {
  struct sock_fprog program = {length, code};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)) die("attach the filter");
}

/* Opens --sockets UDP receivers that nobody reads; with --port P they listen on P, P+1, … */
static void open_receivers(bool filter) {
  for (int i = 0; i < opt.sockets; i++) {
    int fd = raw ? open_socket(SOCK_RAW, opt.port) : open_socket(SOCK_DGRAM, 0);
    address_t a = target(opt.port && !raw ? opt.port + i : 0);
    if (filter) {
      struct sock_filter refuse[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
      attach(fd, refuse, 1);
    } else {
      set(fd, SOL_SOCKET, SO_RCVBUF, 0, "set SO_RCVBUF");
    }
    if (bind(fd, &a.any, length_of(&a))) die("bind a receiver");
    receivers[receiver_count++] = fd;
  }
}

static char payload[MAX_PAYLOAD];
/* What is sent: `size` bytes of payload, or a whole raw packet. */
static struct iovec body = {payload, 0};

typedef struct {
  long sent;
  int64_t ns;
} result_t;

/*
 * Sends `count` datagrams, to each target in turn; what the kernel refused isn't counted as sent. Without --rate, --batch
 * of them go with one sendmmsg. The socket is not connected, so that an ICMP error of one send doesn't eat the next.
 */
static result_t send_datagrams(const address_t *targets, long n, long count) {
  int fd = open_sender(port_of(&targets[0]), port_of(&targets[n - 1])), tries = 0;
  if (!raw) body.iov_len = opt.size;
  struct mmsghdr messages[MAX_BATCH] = {0};
  long sent = 0, batch = opt.rate ? 1 : opt.batch;
  int64_t start = now();
  for (long i = 0; i < count && pace(i, start);) {
    if (batch > count - i) batch = count - i;
    for (long m = 0; m < batch; m++) {
      const address_t *to = &targets[n == 1 ? 0 : (i + m) % n];
      messages[m].msg_hdr = (struct msghdr){
          .msg_name = (void *)to, .msg_namelen = length_of(to), .msg_iov = &body, .msg_iovlen = 1};
    }
    int taken = sendmmsg(fd, messages, batch, MSG_DONTWAIT);
    if (taken > 0) {
      sent += taken, i += taken, tries = 0;
    } else if ((errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == EINTR) && tries < 100) {
      tries++; /* the error of an earlier datagram: this one was not sent */
    } else if (errno == EAGAIN || errno == ENOBUFS || errno == EPERM || errno == EACCES || tries == 100) {
      i++, tries = 0;
    } else {
      die("send");
    }
  }
  result_t result = {sent, now() - start};
  close(fd);
  return result;
}

static void send_to_ports(long first) {
  address_t *targets = calloc(opt.ports, sizeof *targets);
  if (!targets) die("make the list of targets");
  for (long i = 0; i < opt.ports; i++) targets[i] = target(raw ? 0 : first + i);
  ready();
  result_t r = send_datagrams(targets, opt.ports, opt.count);
  finish(r.sent, r.ns, 0);
}

/* Forks until --holders processes hold the sockets; a child is called heldN, and ends when our stdin is closed. */
static void share_sockets(void) {
  for (long i = 1; i < opt.holders; i++) {
    char name[32];
    snprintf(name, sizeof name, "held%ld", i);
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child) continue;
    if (prctl(PR_SET_NAME, name)) die("set the name");
    struct pollfd closed = {.fd = 0}; /* POLLHUP comes unasked, and leaves what is to be read to the parent */
    poll(&closed, 1, 60000);
    _exit(0);
  }
}

static void hold_receivers(void) {
  ready();
  share_sockets();
  if (opt.hold < 0) opt.hold = 60;
  finish(0, 0, 0);
}

/* ---- socket-filter, socket-rcvbuff ---- */

static void receivers_as_targets(address_t *targets) {
  for (int i = 0; i < receiver_count; i++) {
    socklen_t n = sizeof targets[i];
    if (getsockname(receivers[i], &targets[i].any, &n)) die("read a receiver's address");
    if (raw && opt.family == 6) targets[i].v6.sin6_port = 0; /* the protocol; not the one of the sending socket */
  }
}

static void socket_filter(void) {
  if (opt.sender_only) {
    if (!opt.port) misuse("--sender-only needs", "--port");
    return send_to_ports(opt.port);
  }
  open_receivers(true);
  if (opt.receiver_only) return hold_receivers();
  static address_t targets[MAX_SOCKETS];
  receivers_as_targets(targets);
  ready();
  result_t r = send_datagrams(targets, receiver_count, opt.count);
  finish(r.sent, r.ns, 0);
}

static long drops_of(int fd) {
  uint32_t info[SK_MEMINFO_VARS];
  socklen_t n = sizeof info;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &n)) die("read SO_MEMINFO");
  return info[SK_MEMINFO_DROPS];
}

/* Fills each receiver until its first drop, which counts as sent: from there on, a send is a drop. */
static void socket_rcvbuff(void) {
  if (opt.sender_only) return socket_filter();
  open_receivers(false);
  if (opt.receiver_only) return hold_receivers();
  static address_t targets[MAX_SOCKETS];
  receivers_as_targets(targets);
  ready();
  long fit = 0, first = 0;
  long rate = opt.rate;
  opt.rate = 0;
  for (int i = 0; i < receiver_count && first < opt.count && !stopped; i++, first++) {
    long tries = 0;
    for (; tries < 10000 && !drops_of(receivers[i]) && !stopped; tries++) send_datagrams(&targets[i], 1, 1);
    if (tries == 10000) misuse("No drop after 10000 datagrams to a receiver with", "a minimal SO_RCVBUF");
    fit += tries - 1;
  }
  opt.rate = rate;
  result_t r = send_datagrams(targets, receiver_count, opt.count - first);
  finish(first + r.sent, r.ns, fit);
}

/* ---- no-socket, udp ---- */

/* The first of --ports ports that no UDP socket of this namespace has. */
static long closed_ports(void) {
  for (int tries = 0; tries < 100; tries++) {
    int fd = open_socket(SOCK_DGRAM, 0);
    address_t a = address_of(opt.family == 6 ? "::" : "0.0.0.0", 0);
    if (bind(fd, &a.any, length_of(&a))) die("find a closed port");
    long first = local_port(fd), free = 1;
    close(fd);
    if (opt.ports > 1000) first = 65535 - opt.ports - tries, free = 0; /* more than lie above most ephemeral ports */
    for (; free < opt.ports && first + free < 65536; free++) {
      fd = open_socket(SOCK_DGRAM, 0);
      a = address_of(opt.family == 6 ? "::" : "0.0.0.0", first + free);
      int taken = bind(fd, &a.any, length_of(&a));
      close(fd);
      if (taken) break;
    }
    if (free == opt.ports) return first;
  }
  misuse("Cannot find that many closed ports in a row", "--ports");
}

static void no_socket(void) { send_to_ports(opt.port ? opt.port : closed_ports()); }

/* Datagrams to an address: what becomes of them is up to the namespace they are sent in. */
static void udp(void) {
  if (!opt.address) misuse("This kind needs", "--address");
  send_to_ports(opt.port ? opt.port : 9);
}

static void qdisc(void) {
  if (!opt.device) misuse("qdisc needs", "--device");
  udp();
}

/* ---- tcp ---- */

static int connect_to(const address_t *to) {
  int fd = open_socket(SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (opt.source && !bind_from(fd, 0)) die("bind to --source");
  if (connect(fd, &to->any, length_of(to)) && errno != EINPROGRESS && errno != ECONNREFUSED && errno != EPERM &&
      errno != EHOSTUNREACH && errno != EADDRNOTAVAIL)
    die("connect");
  return fd;
}

/* One SYN each: the socket is closed at once, so that the kernel doesn't send it again. */
static void tcp_connect(void) {
  if (!opt.port) misuse("tcp-connect needs", "--port");
  address_t to = target(opt.port);
  ready();
  long sent = 0;
  int64_t start = now();
  for (long i = 0; i < opt.count && pace(i, start); i++) {
    to = target(opt.port + i % opt.ports);
    close(connect_to(&to));
    sent++;
  }
  finish(sent, now() - start, 0);
}

/* One byte by each connection. */
static result_t send_by_each(const int *clients, long count) {
  long sent = 0;
  int64_t start = now();
  for (long i = 0; i < count && pace(i, start); i++) sent += send(clients[i], "x", 1, MSG_NOSIGNAL) == 1;
  return (result_t){sent, now() - start};
}

/* A reset instead of a FIN: the clients are gone before they send their data again (200 ms). */
static void reset(const int *clients, long count) {
  struct linger at_once = {1, 0};
  for (long i = 0; i < count; i++) {
    setsockopt(clients[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(clients[i]);
  }
}

/*
 * A SYN for which the accept queue has no room is eaten without a kfree_skb event. The event comes for the packet that
 * would complete a handshake. So: TCP_DEFER_ACCEPT keeps the handshakes open until data comes; the queue is made small
 * only after that; and the data of every connection but the one that fits overflows it.
 */
static void tcp_listen_overflow(void) {
  static int clients[MAX_SOCKETS];
  if (opt.count > 4000) misuse("At most 4000 connections (net.core.somaxconn)", "--count");
  int fd = open_socket(SOCK_STREAM, 0);
  address_t a = target(opt.port);
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "set SO_REUSEADDR");
  set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 60, "set TCP_DEFER_ACCEPT");
  if (bind(fd, &a.any, length_of(&a)) || listen(fd, MAX_SOCKETS)) die("listen");
  receivers[receiver_count++] = fd;
  a = target(local_port(fd));
  for (long i = 0; i <= opt.count; i++) {
    clients[i] = connect_to(&a);
    struct pollfd p = {.fd = clients[i], .events = POLLOUT};
    int error = 0;
    socklen_t n = sizeof error;
    if (poll(&p, 1, 1000) != 1 || getsockopt(clients[i], SOL_SOCKET, SO_ERROR, &error, &n) || error)
      misuse("Cannot open a connection to the listener: is its SYN queue full?", strerror(error));
  }
  ready();
  if (listen(fd, 0)) die("make the accept queue small");
  send(clients[0], "x", 1, MSG_NOSIGNAL);
  result_t r = send_by_each(clients + 1, opt.count);
  if (opt.hold <= 0) reset(clients, opt.count + 1);
  finish(r.sent, r.ns, 1);
}

/* Refuses the segments that bring data, and lets the others through: the connection stays. */
static void refuse_data(int fd) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 12), /* the header's length, in the upper four bits, in words */
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
      BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
  };
  attach(fd, code, sizeof code / sizeof *code);
}

/* Accepts a connection, which refuses data from then on, and tells the client so by a byte. */
static void accept_and_refuse(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) die("accept");
  refuse_data(fd);
  if (send(fd, "x", 1, MSG_NOSIGNAL) != 1) die("greet a client");
}

/* Accepts until stdin is closed; a newline there is nothing special. */
static void serve(int listener) {
  announce();
  struct pollfd p[] = {{.fd = listener, .events = POLLIN}, {.fd = opt.start_on_stdin ? 0 : -1, .events = POLLIN}};
  for (int accepted = 0; !stopped && poll(p, 2, 60000) > 0;) {
    char c;
    if (p[1].revents && read(0, &c, 1) <= 0) break;
    if (p[0].revents && accepted++ < MAX_SOCKETS) accept_and_refuse(listener);
  }
}

/* Data to connections whose accepted sockets refuse it; one segment each, because a refused one is sent again. */
static void tcp_filter(void) {
  static int clients[MAX_SOCKETS];
  if (opt.count > 2000) misuse("At most 2000 connections", "--count");
  if (opt.sender_only && !opt.port) misuse("--sender-only needs", "--port");
  int listener = -1;
  if (!opt.sender_only) {
    address_t a = target(opt.port);
    listener = open_socket(SOCK_STREAM, 0);
    set(listener, SOL_SOCKET, SO_REUSEADDR, 1, "set SO_REUSEADDR");
    if (bind(listener, &a.any, length_of(&a)) || listen(listener, MAX_SOCKETS)) die("listen");
    receivers[receiver_count++] = listener;
  }
  if (opt.receiver_only) return serve(listener);
  address_t to = target(opt.sender_only ? opt.port : local_port(listener));
  for (long i = 0; i < opt.count; i++) {
    clients[i] = connect_to(&to);
    if (listener >= 0) {
      struct pollfd p = {.fd = listener, .events = POLLIN};
      if (poll(&p, 1, 1000) != 1) misuse("No connection came to", "the listener");
      accept_and_refuse(listener);
    }
    struct pollfd p = {.fd = clients[i], .events = POLLIN};
    char c;
    if (poll(&p, 1, 1000) != 1 || read(clients[i], &c, 1) != 1) misuse("Cannot open a connection to", "the listener");
  }
  ready();
  result_t r = send_by_each(clients, opt.count);
  if (opt.hold <= 0) reset(clients, opt.count);
  finish(r.sent, r.ns, 0);
  if (opt.hold > 0) reset(clients, opt.count);
}

/* ---- unix ---- */

/* Messages that nobody reads, dropped when their receiver is closed. A queue holds net.unix.max_dgram_qlen + 1 (11). */
static void unix_close(void) {
  if (opt.sender_only && !opt.port) misuse("--sender-only needs", "--port");
  for (int i = 0; !opt.sender_only && i < opt.sockets; i++) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), taken = 1;
    for (long tries = 0; taken && tries < 60000; tries++) {
      address_t a = unix_address(opt.port ? opt.port + i : 1 + (getpid() * 16L + i + tries) % 65535);
      taken = bind(fd, &a.any, length_of(&a));
      if (opt.port) break;
    }
    if (taken) die("bind a unix socket");
    receivers[receiver_count++] = fd;
  }
  if (opt.receiver_only) return hold_receivers();
  static address_t targets[MAX_SOCKETS];
  for (int i = 0; i < opt.sockets; i++)
    targets[i] = unix_address(opt.sender_only ? opt.port + i : local_port(receivers[i]));
  ready();
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("open a socket");
  long sent = 0;
  int64_t start = now();
  for (long i = 0; i < opt.count && pace(i, start); i++) {
    const address_t *to = &targets[i % opt.sockets];
    sent += sendto(fd, payload, opt.size, MSG_DONTWAIT | MSG_NOSIGNAL, &to->any, length_of(to)) == opt.size;
  }
  int64_t ns = now() - start;
  close_receivers();
  finish(sent, ns, 0);
}

/* ---- whole frames, through AF_PACKET ---- */

static unsigned char frame[MAX_FRAME];
static int frame_length;

static void put(const void *bytes, int n) {
  memcpy(frame + frame_length, bytes, n);
  frame_length += n;
}

static void put16(int value) { put((unsigned char[]){value >> 8, value}, 2); }

static uint32_t sum16(const unsigned char *bytes, int n, uint32_t sum) {
  for (int i = 0; i < n; i++) sum += i % 2 ? bytes[i] : bytes[i] << 8;
  return sum;
}

static int folded(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

static int packet_socket(struct sockaddr_ll *to) {
  if (!opt.device || !opt.mac || !opt.address) misuse("Frames need", "--device, --mac and --address");
  target(0);
  if (!in_test_netns()) misuse("Frames are sent only in the tests' network namespaces", opt.device);
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) die("open a packet socket");
  *to = (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(opt.device), .sll_halen = 6};
  if (!to->sll_ifindex) die("find --device");
  return fd;
}

/* Starts the frame: destination and source MAC, and the ethertype of --family. */
static void put_ethernet(int fd) {
  unsigned char m[6];
  if (sscanf(opt.mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6)
    misuse("Not a MAC address", opt.mac);
  struct ifreq own = {0};
  snprintf(own.ifr_name, sizeof own.ifr_name, "%s", opt.device);
  if (ioctl(fd, SIOCGIFHWADDR, &own)) die("read the MAC of --device");
  frame_length = 0;
  put(m, 6);
  put(own.ifr_hwaddr.sa_data, 6);
  put16(opt.family == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
}

/* --source, or the address from which this namespace would send to --address. */
static address_t source_address(void) {
  static address_t a;
  if (a.any.sa_family) return a;
  if (opt.source) return a = address_of(opt.source, 0);
  a = target(9);
  socklen_t n = sizeof a;
  int fd = open_socket(SOCK_DGRAM, 0);
  if (connect(fd, &a.any, length_of(&a)) || getsockname(fd, &a.any, &n)) die("find the source address");
  close(fd);
  return a;
}

/* An IPv4 or IPv6 header that announces `length` bytes of `protocol` after it; the IPv4 checksum is right. */
static void put_ip(int protocol, int length, int ihl) {
  address_t from = source_address(), to = target(0);
  int at = frame_length;
  if (opt.family == 6) {
    put("\x60\0\0\0", 4);
    put16(length);
    put((unsigned char[]){protocol, 64}, 2);
    put(&from.v6.sin6_addr, 16);
    put(&to.v6.sin6_addr, 16);
    return;
  }
  put((unsigned char[]){0x40 | ihl, 0}, 2);
  put16(20 + length);
  put("\0\0\0\0\x40", 5);
  put((unsigned char[]){protocol}, 1);
  put16(0);
  put(&from.v4.sin_addr, 4);
  put(&to.v4.sin_addr, 4);
  int sum = folded(sum16(frame + at, 20, 0));
  frame[at + 10] = sum >> 8;
  frame[at + 11] = sum;
}

/* The transport's checksum over the pseudo header and the `length` bytes at `at`, which end the frame. */
static int transport_sum(int protocol, int at, int length) {
  address_t from = source_address(), to = target(0);
  uint32_t sum = protocol + length;
  if (opt.family == 6) {
    sum = sum16((void *)&from.v6.sin6_addr, 16, sum16((void *)&to.v6.sin6_addr, 16, sum));
  } else if (protocol == IPPROTO_ICMP) {
    sum = 0;
  } else {
    sum = sum16((void *)&from.v4.sin_addr, 4, sum16((void *)&to.v4.sin_addr, 4, sum));
  }
  return folded(sum16(frame + at, length, sum));
}

static void send_frames(int fd, const struct sockaddr_ll *to, void (*build)(int fd, long i)) {
  ready();
  long sent = 0;
  int64_t start = now();
  for (long i = 0; i < opt.count && pace(i, start); i++) {
    if (i == 0 || !strcmp(opt.variant, "all")) build(fd, i);
    sent += sendto(fd, frame, frame_length, 0, (const struct sockaddr *)to, sizeof *to) == frame_length;
  }
  finish(sent, now() - start, 0);
}

/* A packet whose one fault is a checksum: --protocol udp, tcp, icmp (the transport's), or ip (the IPv4 header's). */
static void build_checksum(int fd, long i) {
  (void)i;
  int v6 = opt.family == 6;
  bool ip = !strcmp(opt.protocol, "ip"), is_udp = ip || !strcmp(opt.protocol, "udp");
  int protocol = is_udp                        ? IPPROTO_UDP
                 : !strcmp(opt.protocol, "tcp")  ? IPPROTO_TCP
                 : !strcmp(opt.protocol, "icmp") ? (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)
                                                 : -1;
  if (protocol < 0 || (ip && v6)) misuse("Not a --protocol with a checksum in this --family", opt.protocol);
  int head = protocol == IPPROTO_TCP ? 20 : 8, length = head + opt.size;
  put_ethernet(fd);
  int ip_at = frame_length;
  put_ip(protocol, length, 5);
  if (length > MAX_FRAME - frame_length) misuse("Too large for a frame", "--size");
  int at = frame_length, sum_at = at + (is_udp ? 6 : protocol == IPPROTO_TCP ? 16 : 2);
  memset(frame + at, 0, length);
  frame_length += length;
  unsigned char *h = frame + at;
  if (is_udp || protocol == IPPROTO_TCP) {
    h[0] = 40000 >> 8, h[1] = 40000 & 0xff;
    h[2] = opt.port >> 8, h[3] = opt.port;
  }
  if (is_udp) h[4] = length >> 8, h[5] = length;
  else if (protocol == IPPROTO_TCP) h[12] = 5 << 4, h[13] = 0x02; /* SYN */
  else h[0] = v6 ? 128 : 8;                                       /* echo request */
  int sum = transport_sum(protocol, at, length);
  if (!ip) sum = sum == 0x1234 ? 0x4321 : 0x1234;
  else frame[ip_at + 10] ^= 0x55;
  frame[sum_at] = sum >> 8;
  frame[sum_at + 1] = sum;
}

static void checksum(void) {
  struct sockaddr_ll to;
  if (!opt.port) opt.port = 9;
  opt.variant = "one";
  int fd = packet_socket(&to);
  send_frames(fd, &to, build_checksum);
}

/* Headers that are cut short, or announce more than there is; 0: in both families. */
static const struct {
  const char *name;
  int family;
} variants[] = {
    {"ether-only", 0},  {"ip-4-bytes", 0},      {"tcp-6-bytes", 0},    {"udp-4-bytes", 0},
    {"ip4-options", 4}, {"ip4-length", 4},      {"ip6-hop-by-hop", 6}, {"ip6-destination", 6},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* The name of the i-th frame: --variant, or each of this family in turn. */
static const char *variant_of(long i) {
  int of_family[VARIANTS], n = 0;
  for (int v = 0; v < VARIANTS; v++) {
    if (variants[v].family && variants[v].family != opt.family) continue;
    if (!strcmp(opt.variant, variants[v].name)) return opt.variant;
    of_family[n++] = v;
  }
  if (strcmp(opt.variant, "all")) misuse("Not a --variant of this --family", opt.variant);
  return variants[of_family[i % n]].name;
}

static void build_short(int fd, long i) {
  const char *v = variant_of(i);
  put_ethernet(fd);
  if (!strcmp(v, "ip-4-bytes")) {
    put(opt.family == 6 ? "\x60\0\0\0" : "\x45\0\0\x04", 4);
  } else if (!strcmp(v, "ip4-options")) { /* 60 bytes of header announced, 20 there */
    put_ip(IPPROTO_UDP, 0, 15);
  } else if (!strcmp(v, "ip4-length")) { /* 1000 bytes announced, none there */
    put_ip(IPPROTO_UDP, 1000, 5);
  } else if (!strcmp(v, "ip6-hop-by-hop")) { /* 48 bytes of options announced, 2 there; then destination options */
    put_ip(IPPROTO_HOPOPTS, 2, 5);
    put("\x3c\x05", 2);
  } else if (!strcmp(v, "ip6-destination")) { /* the same, then TCP */
    put_ip(IPPROTO_DSTOPTS, 2, 5);
    put("\x06\x05", 2);
  } else if (!strcmp(v, "tcp-6-bytes")) { /* ports 40000 and 80, and half a sequence number */
    put_ip(IPPROTO_TCP, 6, 5);
    put("\x9c\x40\x00\x50\0\0", 6);
  } else if (!strcmp(v, "udp-4-bytes")) {
    put_ip(IPPROTO_UDP, 4, 5);
    put("\x9c\x40\x00\x50", 4);
  }
}

static void raw_short(void) {
  struct sockaddr_ll to;
  int fd = packet_socket(&to);
  send_frames(fd, &to, build_short);
}

/* ---- raw-filter, raw-rcvbuff, raw ---- */

static void with_raw(void (*run)(void)) {
  if (!opt.port) opt.port = 253; /* RFC 3692: for experiments */
  if (opt.port > 255) misuse("Not an IP protocol", "--port");
  if (opt.sockets > 1) misuse("Every raw socket gets every packet, so this kind has no", "--sockets");
  if (opt.size > 1000) misuse("Too large for a raw packet", "--size");
  raw = true;
  frame_length = 0;
  if (!opt.receiver_only) {
    put_ip(opt.port, opt.size, 5);
    put(payload, opt.size);
  }
  body = (struct iovec){frame, frame_length};
  run();
}

static void raw_filter(void) { with_raw(socket_filter); }

static void raw_rcvbuff(void) { with_raw(socket_rcvbuff); }

static void raw_packets(void) { with_raw(udp); }

/* ---- options ---- */

static const struct kind {
  const char *name;
  void (*run)(void);
} kinds[] = {
    {"socket-filter", socket_filter}, {"socket-rcvbuff", socket_rcvbuff},
    {"no-socket", no_socket},         {"udp", udp},
    {"qdisc", qdisc},                 {"tcp-connect", tcp_connect},
    {"tcp-listen-overflow", tcp_listen_overflow},
    {"tcp-filter", tcp_filter},       {"unix-close", unix_close},
    {"raw-filter", raw_filter},       {"raw-rcvbuff", raw_rcvbuff},
    {"raw", raw_packets},
    {"checksum", checksum},           {"raw-short", raw_short},
};

static long number(const char *text, long least, long most) {
  char *end;
  errno = 0;
  long n = strtol(text, &end, 10);
  if (errno || *end || end == text || n < least || n > most) misuse("Not a number in the range of this option", text);
  return n;
}

static void set_comm(const char *name) {
  if (prctl(PR_SET_NAME, name)) die("set the name");
}

/* Any 15 bytes can be a task's name. */
static void set_comm_hex(const char *hex) {
  char name[16] = {0};
  size_t n = strlen(hex) / 2;
  if (strlen(hex) % 2 || n > 15) misuse("Not 1 to 15 bytes in hex", hex);
  for (size_t i = 0; i < n; i++)
    if (sscanf(hex + 2 * i, "%2hhx", (unsigned char *)&name[i]) != 1) misuse("Not hex", hex);
  set_comm(name);
}

enum { COUNT = 1, RATE, BATCH, CPU, FAMILY, ADDRESS, SOURCE, PORT, PORTS, SOCKETS, SIZE, COMM, COMM_HEX, HOLD, START_ON_STDIN,
       RECEIVER_ONLY, SENDER_ONLY, DEVICE, MAC, PROTOCOL, VARIANT, HOLDERS, PID };

static const struct option long_options[] = {
    {"count", 1, 0, COUNT},       {"rate", 1, 0, RATE},
    {"batch", 1, 0, BATCH},       {"cpu", 1, 0, CPU},
    {"family", 1, 0, FAMILY},     {"address", 1, 0, ADDRESS},
    {"source", 1, 0, SOURCE},     {"port", 1, 0, PORT},
    {"ports", 1, 0, PORTS},       {"sockets", 1, 0, SOCKETS},
    {"size", 1, 0, SIZE},         {"comm", 1, 0, COMM},
    {"comm-hex", 1, 0, COMM_HEX}, {"hold", 1, 0, HOLD},
    {"device", 1, 0, DEVICE},     {"mac", 1, 0, MAC},
    {"protocol", 1, 0, PROTOCOL}, {"variant", 1, 0, VARIANT},
    {"holders", 1, 0, HOLDERS},   {"pid", 1, 0, PID},
    {"receiver-only", 0, 0, RECEIVER_ONLY},
    {"sender-only", 0, 0, SENDER_ONLY},
    {"start-on-stdin", 0, 0, START_ON_STDIN},
    {0},
};

static void read_options(int argc, char **argv) {
  for (int o; (o = getopt_long(argc, argv, "", long_options, NULL)) != -1;) switch (o) {
      case COUNT: opt.count = number(optarg, 0, MAX_COUNT); break;
      case RATE: opt.rate = number(optarg, 0, MAX_COUNT); break;
      case BATCH: opt.batch = number(optarg, 1, MAX_BATCH); break;
      case CPU: opt.cpu = number(optarg, 0, CPU_SETSIZE - 1); break;
      case FAMILY: opt.family = number(optarg, 4, 6); break;
      case ADDRESS: opt.address = optarg; break;
      case SOURCE: opt.source = optarg; break;
      case PORT: opt.port = number(optarg, 1, 65535); break;
      case PORTS: opt.ports = number(optarg, 1, MAX_PORTS); break;
      case SOCKETS: opt.sockets = number(optarg, 1, MAX_SOCKETS); break;
      case SIZE: opt.size = number(optarg, 0, MAX_PAYLOAD); break;
      case COMM: set_comm(optarg); break;
      case COMM_HEX: set_comm_hex(optarg); break;
      case HOLD: opt.hold = number(optarg, 0, 3600); break;
      case PID: opt.pid = number(optarg, 2, 1 << 22); break;
      case HOLDERS: opt.holders = number(optarg, 1, 100); break;
      case START_ON_STDIN: opt.start_on_stdin = true; break;
      case RECEIVER_ONLY: opt.receiver_only = true; break;
      case SENDER_ONLY: opt.sender_only = true; break;
      case DEVICE: opt.device = optarg; break;
      case MAC: opt.mac = optarg; break;
      case PROTOCOL: opt.protocol = optarg; break;
      case VARIANT: opt.variant = optarg; break;
      default: exit(2);
    }
  if (optind < argc) misuse("Unknown argument", argv[optind]);
  if (opt.family == 5) misuse("Not an address family", "5");
  if (opt.port + (opt.ports > opt.sockets ? opt.ports : opt.sockets) > 65536) misuse("Too many ports after", "--port");
}

/* Goes on in a child whose number is --pid, one that was another process's. We wait for its end. */
static void become_pid(void) {
  pid_t wanted = opt.pid, child = -1;
  struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
  for (int tries = 0; child < 0 && tries < 100; tries++) {
    if (tries) usleep(10000); /* it isn't free before its last owner has been waited for */
    child = syscall(SYS_clone3, &args, sizeof args);
    if (child < 0 && errno != EEXIST) break;
  }
  if (child < 0) die("get --pid");
  if (!child) return;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) kill(child, SIGTERM);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int main(int argc, char **argv) {
  const struct kind *kind = NULL;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (argc > 1 && !strcmp(argv[1], kinds[i].name)) kind = &kinds[i];
  if (!kind) {
    fprintf(stderr, "usage: traffic KIND [--option value]...\nkinds:");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) fprintf(stderr, " %s", kinds[i].name);
    fprintf(stderr, "\n");
    return 2;
  }
  read_options(argc - 1, argv + 1);
  struct sigaction stop = {.sa_handler = on_signal}; /* without SA_RESTART: a sleep ends at once */
  sigaction(SIGTERM, &stop, NULL);
  sigaction(SIGINT, &stop, NULL);
  if (opt.pid) become_pid();
  prctl(PR_SET_TIMERSLACK, 1UL);
  struct rlimit files = {MAX_SOCKETS + 100, MAX_SOCKETS + 100};
  setrlimit(RLIMIT_NOFILE, &files);
  if (opt.cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(opt.cpu, &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus)) die("pin to --cpu");
  }
  kind->run();
  return 0;
}
