#!/usr/bin/env perl
# SPDX-License-Identifier: MIT
#
# hotloop.pl: read the machine code of a module and check the loops that are
# measured.
#
#	hotloop.pl [option...] MODULE.o
#
#	--module NAME --compiler NAME --opt LEVEL   what the record calls it
#	--limits FILE    bounds on the instructions per allocation (limits.tsv)
#	--compare HAND.o compare with loops written by hand (handwritten.c) instead
#	--show KERNEL    print the loops of kernels whose name matches, and stop
#	--heading        print the heading of the record, and stop
#
# MODULE.o is a strategy compiled with -fPIC -DFL_CODEGEN_ONLY and not linked:
# relocations still say which calls stay inside the module, which sections are
# cold, and what goes through the GOT, the PLT or thread-local storage.  The
# record, one line for each kernel, goes to standard output; what is wrong, with
# the loop, goes to standard error, and then the exit status is 1; or 2, when the
# object cannot be read.
#
# How a loop is found.  fl_new leaves an entry in the section fl_marks behind
# each allocation: the address at which the program has the object, and the
# register that holds it.  In the innermost loop with a mark, the "hot cycle" is
# the fewest instructions from the mark back to it that make no call.  Registers
# are followed along that cycle, and memory through operands that are provably
# the same.  So the "bump chain" is here what it is to the processor: the
# instructions on the dependency from one object's address to the next one's.
#
# What a module is follows from its code, and from nothing else: "fault" if
# fault sites (section fl_sites, or the descriptors of restartable sequences) lie
# on its hot cycles; else "branch" if a
# conditional jump on them depends on the bump; else "none".
#
# What is checked, for every timed kernel:
#   - no call on the hot cycle; in kernels that do nothing but allocate, none in
#     the loop but what the check of the bump (branch) or the test of the size
#     (fault) decides on
#   - no conditional move, set or borrow on the bump chain
#   - register residence: no memory and no vector register on the bump chain; the
#     limit is in a register; no other memory than objects, size tables and
#     programs.  memory residence: one load and one store per allocation
#   - the first word is stored, as a word, before the program has the object
#   - fault sites: one probe per allocation; from restart to probe only mov, sub
#     and and; no jump depends on the bump; no jump and no compare but those of
#     the kernel itself and, where sizes may be anything, one test of the size
#   - restartable sequences: the same, behind the store of the sequence's own
#     descriptor, which abort code leads back to
#   - no thread-local storage, no GOT
#   - instructions per allocation within the limits
use strict;
use warnings;
no warnings 'recursion';
use Getopt::Long;
use Hash::Util::FieldHash qw(fieldhash);

# What cannot be seen in a kernel's code.
#   sizes   constant, proven (below the guard by its type), any; or none
#   jumps   conditional jumps of the kernel itself: for each allocation, and for
#           the loop around it where that has become one with the inner one
#   plain   the loop does nothing but allocate: a call in it is the slow path
#   spills  the kernel's own variables may be on the stack
my %kernels = (
	empty	 => { sizes => 'none', jumps => [1, 0], plain => 1 },
	sites	 => { sizes => 'constant', jumps => [0, 1], plain => 1 },
	runs	 => { sizes => 'constant', jumps => [0, 1], plain => 1 },
	fill	 => { sizes => 'constant', jumps => [1, 0], plain => 1 },
	unroll	 => { sizes => 'constant', jumps => [0, 1], plain => 1 },
	mix	 => { sizes => 'proven', jumps => [1, 0], plain => 1 },
	straddle => { sizes => 'any', jumps => [1, 0], plain => 1 },
	chain	 => { sizes => 'constant', jumps => [1, 0], plain => 1 },
	tree	 => { sizes => 'constant', jumps => [2, 2], plain => 1, spills => 1 },
	nest	 => { sizes => 'any', jumps => [2, 0], spills => 1 },
	replay	 => { sizes => 'any', jumps => [2, 0], spills => 1 },
);

# "chain": instructions on the bump chain; "selects": conditional moves and the
# like off it.  All are per allocation but the last, the allocations of a cycle.
my @counts = qw(instructions jumps compares loads stores chain selects);
my @columns = (qw(module class kernel bytes residence compiler opt), @counts,
	       'allocations');

my %o = (module => '?', compiler => '?', opt => '?');
GetOptions(\%o, 'module=s', 'compiler=s', 'opt=s', 'limits=s', 'show=s',
	   'compare=s', 'heading') or exit 2;
if ($o{heading}) {
	print join("\t", @columns), "\n";
	exit 0;
}
@ARGV == 1 or give_up('usage: hotloop.pl [option...] MODULE.o');

sub give_up
{
	print STDERR 'hotloop.pl: ', @_, "\n";
	exit 2;
}

# ---------------------------------------------------------------------------
# Instructions: what each reads and writes.

my %whole;	# eax -> rax
for (['rax', 'eax', 'ax', 'al', 'ah'], ['rcx', 'ecx', 'cx', 'cl', 'ch'],
     ['rdx', 'edx', 'dx', 'dl', 'dh'], ['rbx', 'ebx', 'bx', 'bl', 'bh'],
     ['rsp', 'esp', 'sp', 'spl'], ['rbp', 'ebp', 'bp', 'bpl'],
     ['rsi', 'esi', 'si', 'sil'], ['rdi', 'edi', 'di', 'dil'],
     map { ["r$_", "r${_}d", "r${_}w", "r${_}b"] } 8 .. 15) {
	my ($first) = @$_;

	$whole{$_} = $first for @$_;
}

sub parse_operand
{
	my ($text) = @_;

	return { kind => 'imm', value => $1 } if $text =~ /^\$(.*)$/;
	return { kind => 'reg', reg => $whole{$1} // $1, name => $1 }
		if $text =~ /^%(\w+)$/;
	return { kind => 'other', text => $text }
		if $text !~ /^(?:%(\w+):)?(-?(?:0x)?[0-9a-f]*)
			      (?:\((?:%(\w+))?(?:,%(\w+),(\d))?\))?$/x;
	my ($segment, $disp, $base, $index, $scale) = ($1, $2, $3, $4, $5);

	return { kind => 'mem', segment => $segment // '', disp => $disp || '0x0',
		 base => defined $base ? $whole{$base} // $base : undef,
		 index => defined $index ? $whole{$index} // $index : undef,
		 scale => $scale };
}

my @groups = (
	[nop	 => qr/^(?:nop|endbr|data16|cs$)/],
	[jmp	 => qr/^jmp/],
	[jcc	 => qr/^j/],
	[call	 => qr/^call/],
	[end	 => qr/^(?:ret|hlt|ud2|int3)/],
	[compare => qr/^(?:cmp|test|bt)[bwlq]?$|^u?comis|^ptest/],
	[select	 => qr/^(?:cmov|set)|^(?:sbb|adc)[bwlq]?$/],
	[move	 => qr/^(?:v?mov|lea|cvt|pop[wlq]?$)/],
	[push	 => qr/^push/],
	[vector	 => qr/^(?:v?p(?:add|sub|and|or|xor|unpck|insr|shuf|cmp|s[lr]l)
			|(?:punpck|unpck|xorp|andp|orp|shuf))/x],
	[other	 => qr/^(?:not|bswap|xchg|c[lwq]t[lqd]|cqto)/],
	[compute => qr/^(?:add|sub|and|or|xor|inc|dec|neg|sh[lr]d?|sa[lr]|ro[lr]
			|i?mul|i?div|xadd|popcnt|[tl]zcnt|bs[rf]|bt[src])/x],
);

# Fills in: group, mnemonic, operands; reads and writes (registers, and
# "flags"); addresses (registers that only make an address); load and store
# (memory operands); to (where a jump or call goes), callee.
sub parse_instruction
{
	my ($object, $i) = @_;
	my $text = $i->{text} =~ s/^(?:(?:notrack|bnd|cs|ds|lock|rep[nz]*)\s+)+//r;
	my ($mnemonic, $rest) = split ' ', $text, 2;
	my ($group) = map { $_->[0] } grep { $mnemonic =~ $_->[1] } @groups;
	my (%reads, %writes, %addresses, @operands);

	$rest //= '';
	$group //= 'unknown';
	$group = 'nop' if $text =~ /^xchg\s+%ax,%ax/;
	if ($group =~ /^(?:jcc|jmp|call)$/) {
		if ($i->{reloc}) {
			my ($section, $offset, $name) = resolve($object, $i->{value});

			# The displacement counts from behind its 4 bytes.
			$i->{to} = "$section:" . ($offset + 4) if defined $section;
			$i->{callee} = $name;
		} elsif ($rest =~ /^([0-9a-f]+)\b/) {
			my $offset = hex $1;

			$i->{to} = $i->{at} =~ s{:.*}{:$offset}r;
		}
		$rest = $rest =~ /^\*(.*)/ ? $1 : '';
	}
	@operands = map { parse_operand($_) } split /,(?![^(]*\))/, $rest
		if $group ne 'nop';

	my $lea = $mnemonic =~ /^lea/;
	my $reads_last = $group !~ /^move$/ && $mnemonic !~ /^(?:set|popcnt|[tl]zcnt)/ &&
			 !($mnemonic =~ /^imul/ && @operands == 3);
	my $writes_last = $group !~ /^(?:compare|jcc|jmp|call|push|end)$/;

	for my $n (0 .. $#operands) {
		my $operand = $operands[$n];
		my $read = $n < $#operands || $reads_last;
		my $write = $n == $#operands ? $writes_last :
			    $mnemonic =~ /^x(?:chg|add)/;

		if ($operand->{kind} eq 'reg') {
			$reads{$operand->{reg}} = 1 if $read;
			$writes{$operand->{reg}} = 1 if $write;
		} elsif ($operand->{kind} eq 'mem') {
			$i->{load} = $operand if $read && !$lea;
			$i->{store} = $operand if $write && !$lea;
			($lea ? \%reads : \%addresses)->{$_} = 1
				for grep { defined } @$operand{qw(base index)};
		}
	}
	# xor %eax,%eax depends on nothing.
	%reads = () if $mnemonic =~ /^p?xor|^sub/ && @operands == 2 &&
		($operands[0]{name} // 0) eq ($operands[1]{name} // 1);
	if ($mnemonic =~ /^(?:c[lwq]t|cqto|mul|i?div)/ ||
	    ($mnemonic =~ /^imul/ && @operands == 1)) {
		@reads{qw(rax rdx)} = @writes{qw(rax rdx)} = (1, 1);
	}
	@writes{qw(rax rcx rdx rsi rdi r8 r9 r10 r11)} = (1) x 9
		if $group eq 'call';
	$writes{flags} = 1 if $group =~ /^(?:compare|compute|call|unknown)$/ ||
			      $mnemonic =~ /^(?:sbb|adc)/;
	$reads{flags} = 1 if $group =~ /^(?:jcc|select)$/;
	@$i{qw(group mnemonic operands reads writes addresses)} =
		($group, $mnemonic, \@operands, \%reads, \%writes, \%addresses);
}

# ---------------------------------------------------------------------------
# Objects.  An address is "section:offset", the offset in decimal.

sub lines_of
{
	my @command = @_;

	open(my $pipe, '-|', @command) or give_up("$command[0]: $!");
	chomp(my @lines = <$pipe>);
	close($pipe) or give_up("@command failed");
	return @lines;
}

# Section, offset and name of a relocation's "symbol+0x10"; the section is undef
# when the symbol is another module's.
sub resolve
{
	my ($object, $value) = @_;
	my ($name, $sign, $addend) =
		$value =~ /^(.+?)(?:([+-])0x([0-9a-f]+))?$/;
	my $symbol = $object->{symbols}{$name} or return (undef, undef, $name);

	$addend = defined $addend ? hex $addend : 0;
	$addend = -$addend if ($sign // '') eq '-';
	return ($symbol->{section}, $symbol->{offset} + $addend, $name);
}

# The relocated words of a section: where each lies, the address it holds, and
# the bytes from there on.
sub words_of
{
	my ($object, $section) = @_;
	my ($bytes, @words) = ('');

	for (lines_of('objdump', '-r', '-s', '-j', $section, $object->{file})) {
		if (/^([0-9a-f]{16}) R_X86_64_(?:PC32|64) +(\S+)$/) {
			my ($in, $offset) = resolve($object, $2);

			push @words, { offset => hex $1, at => "$in:$offset" };
		} elsif (/^ [0-9a-f]+ ((?:[0-9a-f]{2,8} ?){1,4}) /) {
			$bytes .= pack('H*', $1 =~ s/ //gr);
		}
	}
	$_->{bytes} = substr($bytes, $_->{offset}) for @words;
	return sort { $a->{offset} <=> $b->{offset} } @words;
}

use constant SEQUENCES => '.data.rel.ro.fl_rseq';

# Restartable sequences: their descriptors (struct rseq_cs of linux/rseq.h) say
# where each starts, how long it is and where its abort code is.
sub read_sequences
{
	my ($object) = @_;
	my $code = $object->{code};
	my @words = words_of($object, SEQUENCES);

	while (my ($start, $abort) = splice(@words, 0, 2)) {
		give_up("$object->{file}: " . SEQUENCES . ' is not as in faultline/rseq_site.h')
			if $start->{offset} % 32 != 8 || !$abort ||
			   $abort->{offset} != $start->{offset} + 16;
		my ($section, $from) = split /:/, $start->{at};
		my $end = "$section:" . ($from + unpack('x8 Q<', $start->{bytes}));
		my ($aborts, $offset) = split /:/, $abort->{at};
		my $head = $code->{"$aborts:" . ($offset - 8)};
		my $probe = $start->{at};

		$probe = $code->{$probe}{next}
			while $code->{$probe} && ($code->{$probe}{next} // $end) ne $end;
		$object->{probes}{$probe} = {
			probe => $probe, start => $start->{at},
			restart => $code->{$abort->{at}}{to},
			descriptor => SEQUENCES . ':' . ($start->{offset} - 8),
			bump => $head && $head->{mnemonic} eq 'ud1' ?
				$head->{operands}[1]{reg} : '?',
		};
		my $restart = $code->{$code->{$abort->{at}}{to} // ''};

		$object->{arms}{$restart->{next}} = 1 if $restart && $restart->{next};
	}
}

# Fills in: code (address -> instruction), functions (address -> name), marks
# (address -> register of the object), probes (address -> its fault site).
sub read_object
{
	my ($file) = @_;
	my %object = (file => $file);
	my ($section, $previous, %has);

	for (lines_of('objdump', '-h', '-t', '-d', '-r', '-w',
		      '--no-show-raw-insn', $file)) {
		if (/^\s*\d+ (\S+)\s+[0-9a-f]{8} /) {
			$has{$1} = 1;
		} elsif (/^([0-9a-f]+) (.{7}) ([^*\s]\S*)\t[0-9a-f]+ (?:\.\w+ )?(\S+)$/) {
			my ($offset, $flags, $in, $name) = (hex $1, $2, $3, $4);

			$object{symbols}{$name} = { section => $in, offset => $offset };
			$object{functions}{"$in:$offset"} = $name if $flags =~ /F/;
		} elsif (/^Disassembly of section (.*):$/) {
			($section, $previous) = ($1, undef);
		} elsif (/^\s*([0-9a-f]+):\t(.*?)(?:\t[0-9a-f]+: (R_X86_64_\S+)\t(\S+))?$/) {
			my $i = { at => "$section:" . hex $1, reloc => $3, value => $4 };

			$i->{text} = $2 =~ s/\s*(?:#.*|<[^>]*>)?\s*$//r;
			$object{code}{$i->{at}} = $i;
			$previous->{next} = $i->{at} if $previous;
			$previous = $i;
			parse_instruction(\%object, $i);
		}
	}
	for ($has{fl_marks} ? words_of(\%object, 'fl_marks') : ()) {
		my $register = unpack('x8 Z*', $_->{bytes}) =~ s/^%//r;

		$object{marks}{$_->{at}} = $whole{$register} // $register;
	}
	read_sequences(\%object) if $has{+SEQUENCES};
	my @words = $has{fl_sites} ? words_of(\%object, 'fl_sites') : ();
	while (my ($probe, $restart) = splice(@words, 0, 2)) {
		give_up("$file: fl_sites is not as in faultline/site.h")
			if $probe->{offset} % 12 || !$restart ||
			   $restart->{offset} != $probe->{offset} + 4;
		$object{probes}{$probe->{at}} = {
			probe => $probe->{at}, restart => $restart->{at},
			bump => (qw(rax rcx rdx rbx rsp rbp rsi rdi),
				 map { "r$_" } 8 .. 15)[unpack('x8 L<', $probe->{bytes})],
		};
	}
	return \%object;
}

# ---------------------------------------------------------------------------
# Graphs: address -> [addresses that may be next].

# The instructions of a function, with its cold part, which gcc puts elsewhere.
# A jump to another function leaves it, but a function may be nothing more than
# a jump to another one of the same body.
sub graph_of
{
	my ($object, $entry) = @_;
	my ($code, $functions) = @$object{qw(code functions)};
	my %graph;

	while ($code->{$entry}{group} eq 'jmp' && $code->{$entry}{to}) {
		$entry = $code->{$entry}{to};
	}
	my @todo = ($entry);
	while (defined(my $at = pop @todo)) {
		my $i = $code->{$at};
		my @next;

		next if $graph{$at};
		push @next, $i->{next} if $i->{next} && $i->{group} !~ /^(?:jmp|end)$/;
		push @next, $i->{to} if $i->{group} eq 'jcc';
		push @next, $i->{to} if $i->{group} eq 'jmp' && $i->{to} &&
			(!$functions->{$i->{to}} || $i->{to} eq $entry ||
			 $functions->{$i->{to}} =~ /\.cold/);
		$graph{$at} = [grep { defined && $code->{$_} } @next];
		push @todo, @{$graph{$at}};
	}
	return \%graph;
}

sub reversed
{
	my ($graph) = @_;
	my %reversed = map { $_ => [] } keys %$graph;

	for my $at (keys %$graph) {
		push @{$reversed{$_}}, $at for grep { $reversed{$_} } @{$graph->{$at}};
	}
	return \%reversed;
}

# What @start leads to; itself only if it lies on a cycle.
sub reach
{
	my ($graph, @start) = @_;
	my %seen;
	my @todo = map { @{$graph->{$_}} } @start;

	while (defined(my $at = pop @todo)) {
		push @todo, @{$graph->{$at}} if !$seen{$at}++;
	}
	return \%seen;
}

# Strongly connected components that hold a cycle (Tarjan).
sub components
{
	my ($graph) = @_;
	my ($visit, $count, %index, %low, %on, @stack, @found);

	$visit = sub {
		my ($at) = @_;
		my $height = @stack;

		$index{$at} = $low{$at} = ++$count;
		push @stack, $at;
		$on{$at} = 1;
		for my $to (grep { $graph->{$_} } @{$graph->{$at}}) {
			$visit->($to) if !$index{$to};
			next if !$on{$to};
			$low{$at} = $low{$to} if $low{$to} < $low{$at};
		}
		return if $low{$at} != $index{$at};
		my @members = splice(@stack, $height);

		delete @on{@members};
		push @found, { map { $_ => 1 } @members }
			if @members > 1 || grep { $_ eq $at } @{$graph->{$at}};
	};
	$visit->($_) for grep { !$index{$_} } sort keys %$graph;
	undef $visit;
	return @found;
}

# The innermost loops that contain one of @wanted.  Loops are components, and
# what is left of one without the edges to its entries is searched for deeper
# ones (Steensgaard), so that a loop with two entries is a loop.
sub innermost
{
	my ($graph, $wanted) = @_;
	my @innermost;

	for my $loop (components($graph)) {
		next if !grep { $wanted->{$_} } keys %$loop;
		my %entry = map { $_ => 1 } grep { $loop->{$_} }
			    map { @{$graph->{$_}} }
			    grep { !$loop->{$_} } keys %$graph;
		# Nothing enters the remains of a loop whose entry is elsewhere.
		%entry = ((sort keys %$loop)[0] => 1) if !%entry;
		my %inside = map {
			my $at = $_;
			$at => [grep { $loop->{$_} && !$entry{$_} } @{$graph->{$at}}]
		} keys %$loop;
		my @deeper = innermost(\%inside, $wanted);

		push @innermost, @deeper ? @deeper : $loop;
	}
	return @innermost;
}

# The cycle of fewest instructions through @start in @loop that makes no call;
# @start comes first.  Padding costs nothing.
sub shortest_cycle
{
	my ($object, $graph, $loop, $start) = @_;
	my $code = $object->{code};
	my %cost = ($start => 0);
	my @todo = ($start);
	my ($best, $last, %from, @cycle);

	while (defined(my $at = shift @todo)) {
		my $cost = $cost{$at} + ($code->{$at}{group} ne 'nop');

		for my $to (@{$graph->{$at}}) {
			if ($to eq $start) {
				($best, $last) = ($cost, $at)
					if !defined $best || $cost < $best;
			} elsif ($loop->{$to} && $code->{$to}{group} ne 'call' &&
				 (!defined $cost{$to} || $cost < $cost{$to})) {
				($cost{$to}, $from{$to}) = ($cost, $at);
				push @todo, $to;
			}
		}
	}
	for (my $at = $last; defined $at; $at = $from{$at}) {
		unshift @cycle, $at;
	}
	return @cycle;
}

# ---------------------------------------------------------------------------
# Data flow along a cycle: a list of instructions, whose positions count round.

# The position that wrote what position @from finds in @register, or undef when
# nothing on the cycle writes it.
fieldhash my %writers;

sub writer
{
	my ($cycle, $from, $register) = @_;
	my $before = $writers{$cycle}{$register} //= do {
		my ($last, @before);

		# The second round knows what the first one ended with.
		for my $at ((0 .. $#$cycle) x 2) {
			$before[$at] = $last;
			$last = $at if $cycle->[$at]{writes}{$register};
		}
		\@before;
	};

	return $before->[$from % @$cycle];
}

# The value of a register at a position, as [name, constant to add]: equal names
# and constants are equal values.  Follows copies, loads from a place on the
# stack that the cycle leaves alone and, as far back as the cycle's beginning,
# the addition of constants.
sub value_of
{
	my ($cycle, $from, $register, $turns) = @_;
	my ($at, $round, $sum) = ($from, 0, 0);

	$turns //= 0;

	# A copy may be followed all the way round, but not for ever.
	for (0 .. @$cycle) {
		my $last = $at;

		$at = writer($cycle, $last, $register);
		return ["%$register", $sum] if !defined $at;
		$round++ if $at >= $last;
		my $i = $cycle->[$at];
		my $source = $i->{operands}[0];
		my $constant = $source->{kind} eq 'imm' ? $source->{value} : '';

		if ($i->{mnemonic} =~ /^movq?$/ && $source->{kind} eq 'reg' &&
		    $source->{name} eq $source->{reg}) {
			$register = $source->{reg};
		} elsif ($i->{mnemonic} =~ /^movq?$/ && is_stack($source) &&
			 !defined writer($cycle, $at, 'rsp') &&
			 !grep { $_->{store} && is_stack($_->{store}) &&
				 $_->{store}{disp} eq $source->{disp} } @$cycle) {
			return ["$source->{disp}(%rsp)", $sum];
		} elsif ($round <= $turns && $i->{mnemonic} =~ /^(add|sub)q?$/ && length $constant) {
			$sum += $1 eq 'add' ? signed($constant) : -signed($constant);
		} elsif ($round <= $turns && $i->{mnemonic} =~ /^leaq?$/ &&
			 defined $source->{base} && !defined $source->{index}) {
			$sum += signed($source->{disp});
			$register = $source->{base};
		} else {
			last;
		}
	}
	return [$turns ? "\@$at, $round turns ago" : "\@$at", $sum];
}

# A constant as objdump prints it: -0x10, 0xfffffffffffffff0.
sub signed
{
	my ($text) = @_;
	my ($minus, $digits) = $text =~ /^(-?)(?:0x)?([0-9a-f]+)$/ or return 0;
	no warnings 'portable';
	my $value = unpack('q', pack('Q', hex $digits));

	return $minus ? -$value : $value;
}

sub is_stack
{
	my ($operand) = @_;

	return ($operand->{base} // '') eq 'rsp' && !defined $operand->{index};
}

sub address_name
{
	my ($cycle, $at, $operand, $turns) = @_;
	my $sum = signed($operand->{disp});
	my $base = ['', 0];

	$base = value_of($cycle, $at, $operand->{base}, $turns) if defined $operand->{base};
	return join(' ', $operand->{segment}, $base->[0], $sum + $base->[1],
		    defined $operand->{index} ?
		    (@{value_of($cycle, $at, $operand->{index}, $turns)}, $operand->{scale}) : ());
}

# Position -> [positions whose results it uses], without and with those that
# only make the address of a load or store.
sub dependencies
{
	my ($cycle) = @_;
	my (%value, %all, %stored);

	for my $at (grep { $cycle->[$_]{store} } 0 .. $#$cycle) {
		$stored{$at} = address_name($cycle, $at, $cycle->[$at]{store});
	}
	for my $at (0 .. $#$cycle) {
		my $i = $cycle->[$at];
		my @from = map { writer($cycle, $at, $_) } sort keys %{$i->{reads}};
		my @address = map { writer($cycle, $at, $_) } sort keys %{$i->{addresses}};

		if ($i->{load}) {
			my $name = address_name($cycle, $at, $i->{load});
			for my $back (1 .. @$cycle) {
				my $store = ($at - $back) % @$cycle;

				next if ($stored{$store} // '') ne $name;
				push @from, $store;
				last;
			}
		}
		$value{$at} = [grep { defined } @from];
		$all{$at} = [grep { defined } @from, @address];
	}
	return (\%value, \%all);
}

# Everything about a hot cycle.  marks, probes, checks, on and off are positions:
# behind an allocation; of a fault site's store; of a jump that depends on the
# bump; of a select on the chain, and off it.  flags: jump -> what decides it.
sub examine
{
	my ($object, @addresses) = @_;
	my $cycle = [grep { $_->{group} ne 'nop' || $object->{marks}{$_->{at}} }
		     map { $object->{code}{$_} } @addresses];
	my ($value, $all) = dependencies($cycle);
	my ($value_users, $all_users) = (reversed($value), reversed($all));
	my %cyclic = map { %$_ } components($value);
	my %s = (cycle => $cycle, value => $value, note => {});
	my %chain;

	$s{marks} = [grep { $object->{marks}{$cycle->[$_]{at}} } 0 .. $#$cycle];
	# The marks say in which register an object's address is.  Either that is
	# on a cycle of dependencies, or it is a copy of what is.
	for my $mark (@{$s{marks}}) {
		my $made = writer($cycle, $mark,
				  $object->{marks}{$cycle->[$mark]{at}});

		next if !defined $made || $chain{$made};
		my $before = reach($value, $made);
		my @start = $before->{$made} ? ($made) :
			    grep { $cyclic{$_} } keys %$before;
		my $after = reach($value_users, @start);

		$chain{$_} = 1 for grep { $after->{$_} } keys %{reach($value, @start)};
	}
	$s{chain} = [sort { $a <=> $b } keys %chain];
	$s{bump} = { %chain, %{reach($value_users, @{$s{chain}})} };
	# A select that picks the address from which the bump comes counts too.
	my ($before, $after) = (reach($all, @{$s{chain}}),
				reach($all_users, @{$s{chain}}));

	for my $at (0 .. $#$cycle) {
		my $i = $cycle->[$at];

		push @{$s{$before->{$at} && $after->{$at} ? 'on' : 'off'}}, $at
			if $i->{group} eq 'select';
		push @{$s{probes}}, $at if $object->{probes}{$i->{at}};
		push @{$s{arms}}, $at if $object->{arms}{$i->{at}};
		push @{$s{loads}}, $at if $i->{load};
		push @{$s{stores}}, $at if $i->{store};
		push @{$s{compares}}, $at if $i->{group} eq 'compare';
		next if $i->{group} ne 'jcc';
		push @{$s{jumps}}, $at;
		my $flags = $s{flags}{$at} = writer($cycle, $at, 'flags');
		push @{$s{checks}}, $at if defined $flags && $s{bump}{$flags};
	}
	$s{$_} //= [] for qw(on off probes arms loads stores compares jumps checks);
	$s{note}{$_} = 'bump chain' for @{$s{chain}};
	$s{instructions} = [grep { $cycle->[$_]{group} ne 'nop' } 0 .. $#$cycle];
	$s{selects} = $s{off};
	return \%s;
}

# ---------------------------------------------------------------------------
# Checks.  Each returns what is wrong: [text, position...] each.

sub listing
{
	my ($cycle, $note) = @_;

	return join('', map {
		sprintf("    %-20s %s%s\n",
			$cycle->[$_]{at} =~ s/:(\d+)$/sprintf '+%x', $1/er,
			$cycle->[$_]{text},
			$note->{$_} ? "    <- $note->{$_}" : '')
	} 0 .. $#$cycle);
}

my $failures = 0;
my %told;

sub fail
{
	my ($kernel, $what, $cycle, $note) = @_;
	my $line = "$o{module} $kernel, $o{compiler} $o{opt}: $what\n";

	$failures++;
	return if $told{$line}++;
	print STDERR $line, $cycle ? listing($cycle, $note // {}) : ();
}

sub callee
{
	my ($object, $call) = @_;

	return $object->{functions}{$call->{to} // ''} // $call->{callee} //
		'a function pointer';
}

# The last conditional jumps before each call of a loop: call -> {jump -> 1}.
sub deciders
{
	my ($object, $graph, $loop) = @_;
	my $code = $object->{code};
	my $before = reversed({ map { $_ => $graph->{$_} } keys %$loop });
	my %deciders;

	for my $call (grep { $code->{$_}{group} eq 'call' } keys %$loop) {
		my %seen;
		my @todo = ($call);

		while (defined(my $at = pop @todo)) {
			next if $seen{$at}++;
			if ($code->{$at}{group} eq 'jcc') {
				$deciders{$call}{$at} = 1;
			} else {
				push @todo, @{$before->{$at}};
			}
		}
	}
	return \%deciders;
}

# A loop of a kernel that does nothing but allocate, with all its hot cycles.
sub check_calls
{
	my ($object, $kernel, $class, $hot) = @_;
	my $deciders = deciders($object, $hot->{graph}, $hot->{loop});
	my %checks = map { my $s = $_; map { $s->{cycle}[$_]{at} => 1 } @{$s->{checks}} }
		     @{$hot->{cycles}};
	my %deciding = map { %$_ } values %$deciders;
	my @bad;

	for my $at (sort keys %{$hot->{loop}}) {
		my $call = $object->{code}{$at};

		next if $call->{group} ne 'call';
		my $name = callee($object, $call);
		push @bad, ["the loop calls $name, and not because the bump says so"]
			if $class eq 'branch' &&
			   grep { !$checks{$_} } keys %{$deciders->{$at} // {}};
		push @bad, ["the loop calls $name, but nothing in it can be full or too large"]
			if $class eq 'none' ||
			   ($class eq 'fault' && $kernel->{sizes} ne 'any');
	}
	return @bad if $class ne 'fault' || $kernel->{sizes} ne 'any';
	for my $s (@{$hot->{cycles}}) {
		my @tests = grep { $deciding{$s->{cycle}[$_]{at}} } @{$s->{jumps}};

		push @bad, [@tests . ' tests of the size, not one per allocation', @tests]
			if @tests != @{$s->{marks}};
	}
	return @bad;
}

sub check_residence
{
	my ($kernel, $residence, $s) = @_;
	my ($cycle, $chain) = @$s{qw(cycle chain)};
	my @loads = grep { $cycle->[$_]{load} } @$chain;
	my @stores = grep { $cycle->[$_]{store} } @$chain;
	my @vector = grep { grep { /^[xyz]mm/ } keys %{$cycle->[$_]{writes}} } @$chain;
	my @bad;

	push @bad, ['nothing leads from one object\'s address to the next'] if !@$chain;
	push @bad, ['the bump goes through a vector register', @vector] if @vector;
	if ($residence eq 'memory') {
		push @bad, ['the cursor is loaded ' . @loads . ' and stored ' . @stores .
			    ' times for ' . @{$s->{marks}} . ' allocations']
			if @loads != @{$s->{marks}} || @stores != @{$s->{marks}};
		return @bad;
	}
	push @bad, ['the bump is not in a register', @loads, @stores] if @loads || @stores;
	for my $check (@{$s->{checks}}) {
		my $flags = $s->{flags}{$check};
		my @limits = grep { $cycle->[$_]{load} } $flags, @{$s->{value}{$flags}};

		push @bad, ['the limit is not in a register', @limits] if @limits;
	}
	# Objects are where the bump says; tables have an index; a program's place
	# moves; and a sequence is armed in one place.  What is left is a variable.
	my %arms = map { $_ => 1 } @{$s->{arms}};

	for my $at (grep { !$arms{$_} } @{$s->{loads}}, @{$s->{stores}}) {
		for my $operand (grep { $_ } @{$cycle->[$at]}{qw(load store)}) {
			my $base = defined $operand->{base} ?
				   writer($cycle, $at, $operand->{base}) : undef;

			next if defined $operand->{index} || defined $base ||
				($kernel->{spills} && is_stack($operand));
			push @bad, ['a variable is in memory', $at];
		}
	}
	return @bad;
}

# Are the eight bytes of a general register stored, or a constant of eight?
sub is_word
{
	my ($suffix, $source) = @_;

	return $source->{kind} eq 'imm' ? $suffix eq 'q' :
	       $source->{name} eq $source->{reg} && $source->{reg} =~ /^r/;
}

# Is the object's first word stored between the mark before and this one?
sub stores_word
{
	my ($object, $s, $mark) = @_;
	my $cycle = $s->{cycle};
	my $register = $object->{marks}{$cycle->[$mark]{at}};
	# Seen from the end of the cycle, if that is where the mark is.  The objects of a
	# run have their addresses from one another, and may be reached through the bump
	# of the turn before.
	my $object_at = { segment => '', disp => '0x0', base => $register };
	my @place = map { address_name($cycle, $mark || scalar @$cycle, $object_at, $_) } 0, 1;

	for my $back (1 .. @$cycle) {
		my $at = ($mark - $back) % @$cycle;
		my $i = $cycle->[$at];

		return 1 if $i->{store} &&
			$i->{mnemonic} =~ /^mov(q?)$/ &&
			is_word($1, $i->{operands}[0]) &&
			(address_name($cycle, $at, $i->{store}) eq $place[0] ||
			 address_name($cycle, $at, $i->{store}, 1) eq $place[1]);
		return 0 if $object->{marks}{$i->{at}};
	}
	return 0;
}

# Fault-driven allocations, and unchecked ones, which must look the same.
sub check_unchecked
{
	my ($kernel, $class, $s) = @_;
	my $marks = @{$s->{marks}};
	my ($each, $around) = @{$kernel->{jumps}};
	my $jumps = $each * $marks + $around;
	my @bad;

	if ($class eq 'fault') {
		push @bad, [@{$s->{probes}} . " probes for $marks allocations"]
			if @{$s->{probes}} != $marks;
		push @bad, ['a jump depends on the bump of a fault site',
			    @{$s->{checks}}, map { $s->{flags}{$_} } @{$s->{checks}}]
			if @{$s->{checks}};
		$jumps += $marks if $kernel->{sizes} eq 'any';
	}
	push @bad, [@{$s->{jumps}} . " conditional jumps for $marks allocations; " .
		    "the kernel and its sizes need $jumps"]
		if @{$s->{jumps}} > $jumps;
	push @bad, [@{$s->{compares}} . ' compares for ' . @{$s->{jumps}} .
		    ' conditional jumps']
		if @{$s->{compares}} > @{$s->{jumps}};
	return @bad;
}

# Where variables are that are not on the stack.
sub check_variables
{
	my (@instructions) = @_;
	my @bad;

	for my $i (@instructions) {
		my $reloc = $i->{reloc} // '';

		if ($reloc =~ /TLS|TPOFF|DTPMOD/ ||
		    grep { ($_->{segment} // '') =~ /^[fg]s$/ } @{$i->{operands}}) {
			push @bad, ["thread-local storage in the loop: $i->{text}"];
		} elsif ($reloc =~ /GOT/) {
			push @bad, ["the GOT in the loop: $i->{text}"];
		}
		push @bad, ["hotloop.pl does not know $i->{mnemonic}"]
			if $i->{group} eq 'unknown';
	}
	return @bad;
}

sub check_cycle
{
	my ($object, $kernel, $class, $residence, $s) = @_;
	my @bad;

	push @bad, ["$s->{cycle}[$_]{mnemonic} on the bump chain", $_] for @{$s->{on}};
	push @bad, check_residence($kernel, $residence, $s);
	push @bad, ['the first word is not stored before the program has the object', $_]
		for grep { !stores_word($object, $s, $_) } @{$s->{marks}};
	push @bad, check_unchecked($kernel, $class, $s) if $class ne 'branch';
	push @bad, check_variables(@{$s->{cycle}});
	return @bad;
}

# Does a restartable sequence begin with the store of its own descriptor?
sub is_armed
{
	my ($object, $site) = @_;
	my $code = $object->{code};
	my $lea = $code->{$site->{restart}};
	my $store = $code->{$lea->{next} // ''};
	my ($section, $offset) = resolve($object, $lea->{value} // '');

	# The displacement counts from behind its 4 bytes.
	return $lea->{mnemonic} =~ /^leaq?$/ && defined $section &&
	       "$section:" . ($offset + 4) eq $site->{descriptor} &&
	       $store && $store->{mnemonic} =~ /^movq?$/ && $store->{store} &&
	       $lea->{writes}{$store->{operands}[0]{reg} // ''} &&
	       ($store->{next} // '') eq $site->{start};
}

# All fault sites of a module, whoever runs them.
sub check_sites
{
	my ($object) = @_;

	for my $site (values %{$object->{probes} // {}}) {
		my $at = $site->{start} // $site->{restart};
		my @text;

		while (defined $at && @text < 8) {
			push @text, $object->{code}{$at};
			last if $at eq $site->{probe};
			$at = $text[-1]{next};
		}
		fail('(fault site)', 'the abort code does not lead back to where the ' .
		     'sequence is armed', \@text)
			if $site->{start} && !($site->{restart} && is_armed($object, $site));
		fail('(fault site)', 'is not mov, sub, [and,] and the word\'s store',
		     \@text)
			if ($at // '') ne $site->{probe} || !$text[-1]{store} ||
			   !grep({ $_->{reads}{$site->{bump}} } @text) ||
			   grep { $_->{mnemonic} !~ /^(?:mov|sub|and)q?$/ } @text;
	}
}

# ---------------------------------------------------------------------------
# Limits: the last line that matches wins.

sub read_limits
{
	my ($file) = @_;
	my @limits;

	open(my $in, '<', $file) or give_up("$file: $!");
	while (<$in>) {
		next if /^\s*(?:#|$)/;
		my @fields = split;

		@fields == 7 && $fields[6] =~ /^\d+(?:\.\d+)?$/
			or give_up("$file:$.: not six names and a number");
		push @limits, \@fields;
	}
	return \@limits;
}

sub limit_of
{
	my ($limits, @names) = @_;
	my ($line) = grep {
		my $line = $_;
		!grep { $line->[$_] ne '*' && $line->[$_] ne $names[$_] } 0 .. 5;
	} reverse @$limits;

	return $line ? $line->[6] : undef;
}

# ---------------------------------------------------------------------------
# Modules.

# What lies on a way round @loop that makes no call, and does not lead through
# @without if that is given.
sub ways_round
{
	my ($object, $graph, $loop, $without) = @_;
	my %left = map { $_ => 1 }
		   grep { $_ ne ($without // '') &&
			  $object->{code}{$_}{group} ne 'call' } keys %$loop;

	return map { %$_ } components({ map {
		$_ => [grep { $left{$_} } @{$graph->{$_}}]
	} keys %left });
}

# The hot loops of a function: graph, loop and its hot cycles each.  A mark that
# no cycle without a call leads back to is the slow path's copy of one that does;
# a loop without any has no cycles.
sub hot_loops
{
	my ($object, $graph) = @_;
	my %wanted = map { $_ => 1 } grep { $object->{marks}{$_} } keys %$graph;
	my @hot;

	for my $loop (innermost($graph, \%wanted)) {
		my %round = ways_round($object, $graph, $loop);
		my (%seen, %known, @cycles);

		for my $mark (sort grep { $wanted{$_} && $round{$_} } keys %$loop) {
			next if $known{$mark};
			my @cycle = shortest_cycle($object, $graph, $loop, $mark);

			push @cycles, examine($object, @cycle)
				if !$seen{join ' ', sort @cycle}++;
			# If all ways round lead through this mark, the marks on its
			# hot cycle have no other.
			@known{@cycle} = (1) x @cycle
				if !ways_round($object, $graph, $loop, $mark);
		}
		push @hot, { graph => $graph, loop => $loop, cycles => \@cycles };
	}
	return @hot;
}

# The one loop of a function that allocates nothing the marks know of.
sub only_loop
{
	my ($object, $graph) = @_;
	my @loops = innermost($graph, { map { $_ => 1 } keys %$graph });
	my @best;

	return (scalar @loops) if @loops != 1;
	for my $start (sort keys %{$loops[0]}) {
		my @cycle = shortest_cycle($object, $graph, $loops[0], $start);

		@best = @cycle if @cycle && (!@best || @cycle < @best);
	}
	return (1, examine($object, @best));
}

# The timed kernels of a module: name, bytes, residence, graph and hot loops.
sub kernels_of
{
	my ($object) = @_;
	my @found;

	for my $entry (keys %{$object->{functions}}) {
		my ($name, $bytes, $residence) = $object->{functions}{$entry} =~
			/^fl_run_(\w+?)_(\d+)_(register|memory)_timed$/ or next;
		my $graph = graph_of($object, $entry);

		push @found, { name => $name, bytes => $bytes, graph => $graph,
			       residence => $residence,
			       full => "${name}_${bytes}_$residence",
			       hot => [hot_loops($object, $graph)] };
	}
	return sort { $a->{full} cmp $b->{full} } @found;
}

# Checks a kernel; returns the cycles it is to be judged by.
sub check_kernel
{
	my ($object, $kernel, $class) = @_;
	my $about = $kernels{$kernel->{name}};
	my @hot = @{$kernel->{hot}};

	if (!$about) {
		fail($kernel->{full}, 'not in %kernels of hotloop.pl: what sizes has it?');
		return;
	}
	if ($about->{sizes} eq 'none') {
		my ($nr, $s) = only_loop($object, $kernel->{graph});

		fail($kernel->{full}, "has $nr loops, not one") if !$s;
		return $s ? $s : ();
	}
	fail($kernel->{full}, 'allocates in no loop') if !@hot;
	for my $hot (@hot) {
		my @cycles = @{$hot->{cycles}};
		my @code = map { $object->{code}{$_} }
			   sort { ($a =~ /(\d+)$/)[0] <=> ($b =~ /(\d+)$/)[0] }
			   keys %{$hot->{loop}};

		if (!@cycles) {
			my %called = map { callee($object, $_) => 1 }
				     grep { $_->{group} eq 'call' } @code;

			fail($kernel->{full}, 'every way to the next allocation calls ' .
			     join(' or ', sort keys %called), \@code);
			next;
		}
		if ($about->{plain}) {
			for (check_calls($object, $about, $class, $hot),
			     check_variables(@code)) {
				my ($what, @positions) = @$_;

				fail($kernel->{full}, $what, \@code);
			}
		}
		for my $s (@cycles) {
			for (check_cycle($object, $about, $class,
					 $kernel->{residence}, $s)) {
				my ($what, @positions) = @$_;

				fail($kernel->{full}, $what, $s->{cycle},
				     { %{$s->{note}}, map { $_ => 'here' } @positions });
			}
		}
	}
	return map { @{$_->{cycles}} } @hot;
}

sub per_allocation
{
	my ($s, $count) = @_;
	my $value = @{$s->{$count}} / (@{$s->{marks}} || 1);

	return $value == int $value ? $value : sprintf('%.2f', $value);
}

sub check_module
{
	my ($object, $limits) = @_;
	my @kernels = kernels_of($object);
	my @all = map { @{$_->{cycles}} } map { @{$_->{hot}} } @kernels;
	my $class = (grep { @{$_->{probes}} } @all) ? 'fault' :
		    (grep { @{$_->{checks}} } @all) ? 'branch' : 'none';

	for my $name (sort keys %kernels) {
		for my $residence (qw(register memory)) {
			fail('(module)', "has no timed kernel $name with the cursor in $residence")
				if !grep { $_->{name} eq $name &&
					   $_->{residence} eq $residence } @kernels;
		}
	}
	check_sites($object);
	for my $kernel (grep { $_->{full} =~ /$o{show}/ } @kernels) {
		my ($worst) = sort {
			per_allocation($b, 'instructions') <=>
			per_allocation($a, 'instructions')
		} check_kernel($object, $kernel, $class) or next;
		my @names = ($o{module}, @{$worst->{marks}} ? $class : 'floor',
			     $kernel->{name}, $kernel->{bytes}, $kernel->{residence},
			     $o{compiler}, $o{opt});
		my $count = per_allocation($worst, 'instructions');
		my $limit = $limits ? limit_of($limits, @names[0 .. 2, 4 .. 6]) : $count;

		print join("\t", @names, (map { per_allocation($worst, $_) } @counts),
			   scalar @{$worst->{marks}}), "\n";
		print listing(@$worst{qw(cycle note)}) if length $o{show};
		if (!defined $limit) {
			fail($kernel->{full}, 'no line of the limits is about it');
		} elsif ($count > $limit) {
			fail($kernel->{full}, "$count instructions per allocation, " .
			     "more than $limit", @$worst{qw(cycle note)});
		}
	}
}

# ---------------------------------------------------------------------------
# Loops written by hand.

# A loop as text: from where that is least, with registers numbered as they
# appear, so that equal loops are equal texts; and its instructions sorted, with
# kinds of operands in place of registers.
sub normal_forms
{
	my @cycle = grep { $_->{group} ne 'nop' } @_;
	my (@kinds, @registers, $least);

	for my $i (@cycle) {
		my @operands = $i->{group} =~ /^j/ ? () : @{$i->{operands}};

		push @kinds, join(' ', $i->{mnemonic}, map {
			$_->{kind} eq 'imm' ? $_->{value} :
			$_->{kind} ne 'mem' ? $_->{kind} :
			"$_->{disp}($_->{segment}" . (defined $_->{base} ? 'base' : '') .
				(defined $_->{index} ? ",$_->{scale}" : '') . ')'
		} @operands);
		push @registers, [grep { defined } map { @$_{qw(reg base index)} } @operands];
	}
	for my $turn (0 .. $#cycle) {
		my %number;
		my $text = join("\n", map {
			my $at = ($turn + $_) % @cycle;

			join(' ', $kinds[$at], '|',
			     map { $number{$_} //= keys %number } @{$registers[$at]});
		} 0 .. $#cycle);

		$least = $text if !defined $least || $text lt $least;
	}
	return ($least, join("\n", sort @kinds));
}

# HAND.o has a function hand_MODULE__KERNEL_BYTES_RESIDENCE for each comparison.
sub compare_module
{
	my ($hand, $object) = @_;
	my %kernels = map { $_->{full} => $_ } kernels_of($object);

	for my $entry (sort { $hand->{functions}{$a} cmp $hand->{functions}{$b} }
		       keys %{$hand->{functions}}) {
		my ($full) = $hand->{functions}{$entry} =~
			/^hand_\Q$o{module}\E__(\w+)$/ or next;
		my ($nr, $mine) = only_loop($hand, graph_of($hand, $entry));
		my @theirs = map { @{$_->{cycles}} }
			     map { @{$_->{hot}} } grep { $_ } $kernels{$full};

		if (!$mine || @theirs != 1) {
			fail($full, "$nr loops by hand, " . @theirs . ' in the module');
			next;
		}
		my ($text, $sorted) = normal_forms(@{$mine->{cycle}});
		my ($their_text, $their_sorted) = normal_forms(@{$theirs[0]{cycle}});
		my $count = @{$mine->{instructions}};

		if ($sorted ne $their_sorted) {
			fail($full, 'is not the loop by hand; by hand, and in the module:',
			     $mine->{cycle});
			print STDERR "\n", listing(@{$theirs[0]}{qw(cycle note)});
		} else {
			print "$o{module} $full: the $count instructions of the loop by hand",
				$text eq $their_text ? '' : ', in another order', "\n";
		}
	}
}

my $object = read_object($ARGV[0]);
$o{show} //= '';
if ($o{compare}) {
	compare_module(read_object($o{compare}), $object);
} else {
	check_module($object, $o{limits} ? read_limits($o{limits}) : undef);
}
exit($failures ? 1 : 0);
