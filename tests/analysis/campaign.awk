# SPDX-License-Identifier: MIT
#
# campaign.awk: a campaign's directory with answers that are known beforehand.
#
#	awk -f campaign.awk -v dir=DIR [-v NAME=VALUE...] </dev/null
#
# DIR must exist; it gets plan.ini, campaign.json and results.jsonl.
#
#	blocks=8		blocks
#	seed=1			of all noise
#	noise=0.004		standard deviation of the log of a sample, beside
#				a drift that all arms of a block share
#	fault_ns=2200		a redirecting fault
#	branch_ns=0.045		the compare; with fault_ns and 16-byte objects the
#				lines cross at blocks of 16 * fault_ns / branch_ns
#	twin=1 planted=1.3	what the controls take, relative to bump_down;
#				0: the arm is not there
#	step_ns=10		of the clock
#	trouble=0		1: failures, crashes, timeouts, unsupported arms,
#				a missing arm, flagged and repeated samples
#	sweep=1 others=1 account=1	0: without these cells
#	classes=0		1: pages have classes, and a time per event stands beside
#				them
#	tail=""			a line more at the end, without its newline

function option(value, standard)
{
	return value == "" ? standard : value
}

# Park & Miller 1988, "minimal standard": the same in every awk.
function uniform()
{
	state = (state * 16807) % 2147483647
	return state / 2147483647
}

# Near enough to normal, and never far out.
function normal(    i, sum)
{
	for (i = 0; i < 12; i++)
		sum += uniform()
	return sum - 6
}

function bytes_text(bytes)
{
	return bytes >= 1048576 ? bytes / 1048576 "M" : bytes / 1024 "K"
}

function floor_of(x)
{
	return int(x)
}

# The histogram's bucket of ns: see harness/hist.h.
function bucket(ns,    shift, top)
{
	shift = 0
	top = ns
	while (top >= 128) {
		top = floor_of(top / 2)
		shift++
	}
	return shift * 64 + top
}

# @n durations around @ns as the histogram's JSON.
function latency(ns, n,    i, v, b, counts, low, high, sum, text, most)
{
	low = 1e12
	high = sum = most = 0
	for (i = 0; i < n; i++) {
		v = ns * exp(0.12 * normal())
		# One in a hundred is interrupted.
		if (uniform() < 0.01)
			v = v * 2 + 3000 * uniform()
		v = floor_of(v / step_ns + 0.5) * step_ns
		if (v < step_ns)
			v = step_ns
		b = bucket(v)
		counts[b]++
		if (b > most)
			most = b
		if (v < low)
			low = v
		if (v > high)
			high = v
		sum += v
	}
	text = ""
	for (b = 0; b <= most; b++)
		if (b in counts)
			text = text (text == "" ? "" : ",") b "," counts[b]
	return sprintf("{\"sub_order\":6,\"range_order\":40,\"nr_values\":%d,\"nr_over\":0,\"min_ns\":%d,\"max_ns\":%d,\"sum_ns\":%.0f,\"counts\":[%s]}",
		n, low, high, sum, text)
}

function add_arm(name, strategy, role, answer, trigger, slow_ns, step)
{
	arms[nr_arms] = name
	arm_strategy[nr_arms] = strategy
	arm_role[nr_arms] = role
	arm_answer[nr_arms] = answer
	arm_trigger[nr_arms] = trigger
	# One slow path, and the bytes that one supplies (0: a block).
	arm_slow[nr_arms] = slow_ns
	arm_step[nr_arms] = step
	nr_arms++
}

# A line of results.jsonl.
function emit(block, cell, a, status, reason, repeat, flags, mode, metrics, more,    quiet)
{
	if (status == "ok" && mode != "account" && !arm_slow[a])
		quiet = ",\"slow_n\":\"the slow path did not run\",\"slow_p50_ns\":\"the slow path did not run\""
	printf "{\"schema\":1,\"status\":\"%s\",\"reason\":%s,", status, reason == "" ? "null" : "\"" reason "\"" >results
	printf "\"campaign\":\"synthetic\",\"block\":%d,\"order\":%d,", block, order++ >results
	printf "\"cell\":\"%s\",\"arm\":\"%s\",\"role\":\"%s\",", cell, arms[a], arm_role[a] >results
	printf "\"repeat\":%d,\"flags\":[%s],", repeat, flags >results
	printf "\"strategy\":\"%s\",\"settings\":{\"block\":\"%s\"},", arm_strategy[a], bytes_text(cell_block) >results
	printf "\"answer\":\"%s\",\"trigger\":\"%s\",", arm_answer[a], arm_trigger[a] >results
	printf "\"kernel\":\"%s\",\"object_bytes\":%d,\"residence\":\"%s\",", cell_kernel, cell_object, cell_residence >results
	printf "\"mode\":\"%s\",\"fresh\":false,\"block_bytes\":%d,\"lifetime_bytes\":%d,", mode, cell_block, cell_block * 16 >results
	printf "\"seed\":1,\"trace\":%s,", cell_trace == "" ? "null" : "\"" cell_trace "\"" >results
	printf "\"checksum\":%s,", status == "ok" ? "\"00000000deadbeef\"" : "null" >results
	printf "\"metrics\":{%s},\"unavailable\":{\"cycles\":\"this host has no hardware counters\"%s}%s}\n", metrics, quiet, more >results
}

function numbers(ns, events, allocs)
{
	return (classes ? sprintf("\"event_ns\":%.6f,", ns * 0.8) : "") \
		sprintf("\"alloc_ns\":%.6f,\"alloc_best_ns\":%.6f,\"floor_ns\":%.6f,\"nr_allocs\":%d,\"nr_batches\":8,\"events\":%d,\"events_implied\":%d,\"minor_faults\":%d,\"major_faults\":0,\"resident_pages\":%d,\"reserved_bytes\":1073741824,\"vmas\":%d,\"steal_ms\":0,\"perf_migrations\":null,\"clock_step_ns\":%g,\"clock_pair_ns\":12.5",
		ns, ns * 0.98, 0.25 * exp(0.002 * normal()), allocs, events,
		events, events, cell_block / 256, 40, step_ns)
}

# What an allocation takes, without noise.
function alloc_ns(a,    ns, step)
{
	ns = cell_base + (cell_residence == "memory" ? 0.12 : 0)
	if (arm_answer[a] == "branch")
		ns += branch_ns
	if (arm_slow[a]) {
		step = arm_step[a] ? arm_step[a] : cell_block
		ns += arm_slow[a] * cell_object_mean / step
	}
	if (arm_role[a] == "twin")
		ns *= twin
	if (arm_role[a] == "planted")
		ns *= planted
	return ns
}

function sample(block, cell, a, drift, repeat, flags, factor,    ns, events, allocs, step, more)
{
	ns = alloc_ns(a) * exp(drift + noise * normal()) * factor
	allocs = 4194304
	step = arm_step[a] ? arm_step[a] : cell_block
	events = arm_slow[a] ? floor_of(allocs * cell_object_mean / step) : 0
	more = ",\"latency\":null"
	if (arm_slow[a])
		more = ",\"latency\":" latency(arm_slow[a], 200)
	emit(block, cell, a, "ok", "", repeat, flags,
	     arm_role[a] == "planted" ? "planted" : "timed",
	     numbers(ns, events, allocs), more)
}

# Returns 1 when there is to be no ordinary sample.
function in_trouble(block, cell, a)
{
	if (!trouble)
		return 0
	if (arms[a] == "uffd_rw") {
		emit(block, cell, a, "unsupported",
		     "userfaultfd: Operation not permitted; set vm.unprivileged_userfaultfd or run as root",
		     0, "", "timed", "\"alloc_ns\":null", "")
		return 1
	}
	if (arms[a] == "block_split" && block == 2) {
		emit(block, cell, a, "failed",
		     "timed: checksum 0000000000000001 instead of 00000000deadbeef: objects were lost or overlap <&>",
		     0, "", "timed", "", "")
		return 1
	}
	if (arms[a] == "segv_extend" && block == 1) {
		emit(block, cell, a, "crashed", "signal 11 (Segmentation fault)",
		     0, "", "timed", "", "")
		return 1
	}
	if (arms[a] == "segv_extend" && block == 3) {
		emit(block, cell, a, "timeout", "no result within 60 s",
		     0, "", "timed", "", "")
		return 1
	}
	# Not even a line.
	return arms[a] == "bump_up" && cell_kernel == "chain"
}

function timed_cell(name, kernel, object, mean, block_bytes, residence, trace, base,    b, a, drift)
{
	cell_kernel = kernel
	cell_object = object
	cell_object_mean = mean
	cell_block = block_bytes
	cell_residence = residence
	cell_trace = trace
	cell_base = base
	for (b = 0; b < blocks; b++) {
		drift = 0.03 * normal()
		for (a = 0; a < nr_arms; a++) {
			if (arm_role[a] == "planted" &&
			    (kernel != "fill" || object != 16))
				continue
			if (in_trouble(b, name, a))
				continue
			# Disturbed, flagged, and repeated at the end.
			if (trouble && arms[a] == "bump_down" && b == 0) {
				sample(b, name, a, drift, 0, "\"steal\"", 1.8)
				sample(b, name, a, drift, 1, "", 1)
			} else if (trouble && arms[a] == "demand_zero" && b == 1) {
				sample(b, name, a, drift, 0, "\"migrated\"", 1.1)
				sample(b, name, a, drift, 1, "\"migrated\"", 1.05)
			} else {
				sample(b, name, a, drift, 0, "", 1)
			}
		}
	}
}

# Pages over a replay: some arms level off, some do not.
function account_cell(name,    a, e, pages, series, b)
{
	cell_kernel = "replay"
	cell_object = 0
	cell_block = 65536
	cell_residence = "memory"
	cell_trace = "httpd-static"
	for (a = 0; a < nr_arms; a++) {
		if (arm_role[a] != "arm" && arm_role[a] != "baseline")
			continue
		if (trouble && arms[a] == "uffd_rw") {
			emit(0, name, a, "unsupported",
			     "userfaultfd: Operation not permitted; set vm.unprivileged_userfaultfd or run as root",
			     0, "", "account", "", "")
			continue
		}
		for (b = 0; b < 2 && b < blocks; b++) {
			series = ""
			for (e = 0; e <= 200; e++) {
				if (arm_step[a])
					pages = 60 + floor_of(a * 60 * (1 - exp(-e / 60)))
				else if (arm_answer[a] == "never")
					pages = 20 + 8 * e
				else
					pages = 90 + 16 * floor_of(a / 2) + 6 * (e % 5 == a % 5)
				series = series (e ? "," : "") "[" e * 4161 "," pages \
					(classes ? "," 20 ",1,0," pages - 21 ",0,9,0,1,2" : "") "]"
			}
			emit(b, name, a, "ok", "", 0, "", "account",
			     "\"alloc_ns\":null,\"resident_pages\":" pages \
			     (classes ? ",\"leaked_share\":" a / 10 ",\"peak_resident_over_live\":" 1 + a : ""),
			     ",\"pages\":[" series "]")
		}
	}
}

END {
	state = option(seed, 1) * 7919 + 12345
	blocks = option(blocks, 8)
	noise = option(noise, 0.004)
	fault_ns = option(fault_ns, 2200)
	branch_ns = option(branch_ns, 0.045)
	twin = option(twin, 1)
	planted = option(planted, 1.3)
	step_ns = option(step_ns, 10)
	trouble = option(trouble, 0)
	classes = option(classes, 0)
	results = dir "/results.jsonl"
	nr_arms = order = 0

	add_arm("no_check", "no_check", "arm", "never", "none", 0, 0)
	add_arm("bump_down", "bump_down", "baseline", "branch", "branch", 150, 0)
	add_arm("bump_up", "bump_up", "arm", "branch", "branch", 155, 0)
	add_arm("block_split", "block_split", "arm", "branch", "branch", 190, 0)
	add_arm("demand_zero", "demand_zero", "arm", "extend", "kernel fault", 0, 0)
	add_arm("segv_extend", "segv_extend", "arm", "extend", "SIGSEGV", 4700, 16384)
	add_arm("uffd_rw", "uffd_rw", "arm", "extend", "userfaultfd", 9000, 32768)
	add_arm("segv_redirect", "segv_redirect", "arm", "redirect", "SIGSEGV", fault_ns, 0)
	if (twin)
		add_arm("bump_down_again", "bump_down", "twin", "branch", "branch", 150, 0)
	if (planted)
		add_arm("bump_down_slow", "bump_down", "planted", "branch", "branch", 150, 0)

	printf "" >results
	if (option(sweep, 1))
		for (k = 4096; k <= 4194304; k *= 4) {
			timed_cell("warm/16/" bytes_text(k) "/register", "fill", 16, 16, k, "register", "", 0.27)
			timed_cell("warm/16/" bytes_text(k) "/memory", "fill", 16, 16, k, "memory", "", 0.27)
		}
	if (option(others, 1)) {
		timed_cell("mix/64K/register", "mix", 0, 40, 65536, "register", "", 1.1)
		timed_cell("chain/16/64K/register", "chain", 16, 16, 65536, "register", "", 1.9)
		timed_cell("httpd/64K/register", "replay", 0, 90, 65536, "register", "httpd-static", 1.6)
	}
	if (option(account, 1))
		account_cell("httpd-pages/64K/memory")
	printf "%s", tail >results

	print "{\"schema\":1,\"campaign\":\"synthetic\",\"title\":\"First light: a branch or a fault?\",\"profile\":\"quick\",\"seed\":" option(seed, 1) ",\"blocks\":" blocks ",\"baseline\":\"bump_down\",\"started\":\"2026-01-02T03:04:05Z\",\"fingerprint\":{\"host\":{\"kernel\":{\"release\":\"6.18.0\"},\"cpu\":{\"model\":\"Example CPU\",\"flags\":[\"avx2\",\"sse4_2\"],\"nr\":2},\"thp\":\"madvise\",\"container\":null},\"build\":{\"cc\":\"gcc 12.2.0\",\"cflags\":\"-O2 -g\",\"binaries\":{\"faultline\":\"0011\"}},\"about\":{\"version\":\"0.1.0\",\"memory_bytes\":8589934592},\"id\":\"0123456789abcdef\"}}" >(dir "/campaign.json")
	print "[campaign]\nname = synthetic\nblocks = " blocks "\nbaseline = bump_down\n" >(dir "/plan.ini")
}
