"""The system calls that a job may make; every other one is refused.

A call is written ``name:number on x86_64:number on aarch64``; a number is left out where that machine has no such call.
Not here, and so refused: sockets of any kind but a pair, running programs, mounts, namespaces, ptrace and reading other
processes, io_uring, bpf, perf, keyrings, memfd, shared memory by key, changing users, owners, clocks or modules.
"""

from __future__ import annotations

__all__ = ["TABLE", "numbers"]

TABLE = """
# files
read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 preadv:295:69 pwritev:296:70
preadv2:327:286 pwritev2:328:287 lseek:8:62 open:2: openat:257:56 close:3:57 close_range:436:436 dup:32:23
dup2:33: dup3:292:24 pipe:22: pipe2:293:59 fcntl:72:25 flock:73:32 fsync:74:82 fdatasync:75:83 truncate:76:45
ftruncate:77:46 fallocate:285:47 stat:4: lstat:6: fstat:5:80 newfstatat:262:79 statx:332:291 access:21:
faccessat:269:48 faccessat2:439:439 readlink:89: readlinkat:267:78 getdents:78: getdents64:217:61 getcwd:79:17
chdir:80:49 fchdir:81:50 mkdir:83: mkdirat:258:34 rmdir:84: unlink:87: unlinkat:263:35 rename:82: renameat:264:38
renameat2:316:276 link:86: linkat:265:37 symlink:88: symlinkat:266:36 chmod:90: fchmod:91:52 fchmodat:268:53
umask:95:166 utime:132: utimes:235: futimesat:261: utimensat:280:88 sendfile:40:71 copy_file_range:326:285
splice:275:76 statfs:137:43 fstatfs:138:44 fadvise64:221:223 readahead:187:213 getxattr:191:8 lgetxattr:192:9
fgetxattr:193:10 listxattr:194:11 llistxattr:195:12 flistxattr:196:13 creat:85:
# memory
mmap:9:222 munmap:11:215 mprotect:10:226 mremap:25:216 madvise:28:233 brk:12:214 mincore:27:232 msync:26:227
membarrier:324:283
# waiting
poll:7: ppoll:271:73 select:23: pselect6:270:72 epoll_create:213: epoll_create1:291:20 epoll_ctl:233:21
epoll_wait:232: epoll_pwait:281:22 epoll_pwait2:441:441 eventfd:284: eventfd2:290:19 timerfd_create:283:85
timerfd_settime:286:86 timerfd_gettime:287:87 nanosleep:35:101 clock_nanosleep:230:115 pause:34:
restart_syscall:219:128 futex:202:98 sched_yield:24:124
# sockets of a pair
sendto:44:206 recvfrom:45:207 sendmsg:46:211 recvmsg:47:212 shutdown:48:210 getsockopt:55:209 setsockopt:54:208
getsockname:51:204 getpeername:52:205
# processes and threads
exit:60:93 exit_group:231:94 wait4:61:260 waitid:247:95 set_robust_list:273:99 get_robust_list:274:100
rseq:334:293 set_tid_address:218:96 gettid:186:178 getpid:39:172 getppid:110:173 getpgrp:111: getpgid:121:155
setpgid:109:154 getsid:124:156 setsid:112:157 arch_prctl:158: sched_getaffinity:204:123
sched_getparam:143:121 sched_getscheduler:145:120 sched_get_priority_max:146:125 sched_get_priority_min:147:126
getpriority:140:141 getcpu:309:168 getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148
getresgid:120:150 getgroups:115:158 capget:125:90
# signals
kill:62:129 tkill:200:130 tgkill:234:131 rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139
rt_sigtimedwait:128:137 rt_sigsuspend:130:133 rt_sigpending:127:136 sigaltstack:131:132 alarm:37: setitimer:38:103
getitimer:36:102 timer_create:222:107 timer_settime:223:110 timer_gettime:224:108 timer_getoverrun:225:109
timer_delete:226:111
# clocks and limits
clock_gettime:228:113 clock_getres:229:114 gettimeofday:96:169 time:201: times:100:153 getrusage:98:165
getrlimit:97:163 setrlimit:160:164 prlimit64:302:261 sysinfo:99:179 uname:63:160 getrandom:318:278
# answered, and not done
sched_setaffinity:203:122
# judged by their arguments
clone:56:220 clone3:435:435 fork:57: vfork:58: socketpair:53:199 prctl:157:167 ioctl:16:29
"""


def numbers(machine: str) -> dict[str, int]:
    """Number by name for ``machine`` (x86_64 or aarch64).

    >>> numbers("x86_64")["openat"], numbers("aarch64")["openat"], "fork" in numbers("aarch64")
    (257, 56, False)
    """
    column = {"x86_64": 1, "aarch64": 2}[machine]
    lines = [line for line in TABLE.splitlines() if not line.startswith("#")]
    parts = [entry.split(":") for line in lines for entry in line.split()]
    return {part[0]: int(part[column]) for part in parts if part[column]}
