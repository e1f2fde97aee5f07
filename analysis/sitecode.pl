#!/usr/bin/env perl
# SPDX-License-Identifier: MIT
#
# sitecode.pl: what does an allocation site cost in code?  Reads the machine code of
# modules, as shipped, and writes a folder that `faultline report` takes.
#
#	sitecode.pl [--print] [--output DIR] MODULE.so...
#
#	--print        a line of tab-separated numbers for each function, and stop
#	--output DIR   the folder, which is made
#
# A module in a folder of its compiler's name, clang/NAME.so, is NAME@clang.
#
# Two functions of every module are read (faultline/module.h, kernels/unroll.h):
#
#  construct  fl_construct: five arguments alive across one site
#  sites      fl_run_sites_0_register_timed: 256 different sites in a row; numbers
#             are per site
#
# An instruction is "hot" if it can be reached from the function's entry without
# passing a call: what runs when the block is not full.  The basic blocks with a
# call, and what only they lead to, are "cold".  Padding is neither.
#
#  hot_bytes      of hot instructions
#  cold_bytes     of cold instructions, and of none of what they call
#  table_bytes    of the tables that fault sites leave (section fl_sites): as many
#                 entries of 12 bytes as have their probe in the function
#  hot_instructions   how many those are
#  stack_ops      hot instructions, neither of the prologue nor the epilogue, that
#                 read, write or move the stack
#  prologue_ops   those of the prologue and the epilogue: pushes and pops of whole
#                 registers, and adding to the stack pointer
#  pushes         of these, the pushes
#  saved          registers that are stored to the stack around the slow path: by
#                 cold code, or by the prologue.  Arguments on the stack count, and so
#                 does a push that only aligns it
#
# Exit status: 0; 1 when a module has no such function; 2 when it cannot be read.
use strict;
use warnings;
use Getopt::Long;
use JSON::PP;

my @metrics = (
	[hot_bytes => 'bytes', 'machine code on the path of a block that is not full'],
	[cold_bytes => 'bytes', 'machine code that is there for when it is'],
	[table_bytes => 'bytes', 'entries in the table of fault sites'],
	[hot_instructions => '1', 'of hot_bytes, how many instructions'],
	[stack_ops => '1', 'hot instructions that touch the stack, prologue and epilogue not counted'],
	[prologue_ops => '1', 'hot instructions of the prologue and the epilogue that touch the stack'],
	[pushes => '1', 'of these, pushes'],
	[saved => '1', 'stores of registers to the stack around the slow path, by prologue and cold code'],
);
my %functions = (
	construct => { symbol => 'fl_construct', sites => 1 },
	sites => { symbol => 'fl_run_sites_0_register_timed', sites => 256 },
);
my (%o);

GetOptions(\%o, 'print', 'output=s') && @ARGV && ($o{print} || defined $o{output})
	or give_up("usage: sitecode.pl [--print] [--output DIR] MODULE.so...");

sub give_up
{
	print STDERR "sitecode.pl: @_\n";
	exit 2;
}

# ---------------------------------------------------------------------------
# Reading.

# Instructions of every function, by name; those of NAME.cold belong to NAME.
sub disassemble
{
	my ($file) = @_;
	my (%code, $function);

	-r $file or give_up("$file: $!");
	open my $from, '-|', 'objdump', '-d', '-w', $file
		or give_up("objdump: $!: apt-get install binutils");
	while (<$from>) {
		if (/^[0-9a-f]+ <(.+)>:$/) {
			$function = $1 =~ s/\.cold$//r;
		} elsif (/^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t?(.*?)\s*$/) {
			my ($address, $bytes, $text) = (hex $1, $2, $3);
			my $i = { address => $address, bytes => scalar(split ' ', $bytes) };

			$text =~ s/\s*[#].*//;
			$text =~ s/^(?:(?:notrack|bnd|cs|ds|lock|rep[nz]*)\s+)+//;
			$text =~ s/\s*<.*>//;
			@$i{qw(mnemonic rest)} = split ' ', $text, 2;
			$i->{mnemonic} //= '';
			$i->{rest} //= '';
			push @{$code{$function}}, $i if defined $function;
		}
	}
	close $from or give_up("$file: objdump cannot read it");
	return \%code;
}

# A function's own address: what is NAME.cold may lie before it.
sub entry
{
	my ($file, $symbol) = @_;

	open my $from, '-|', 'nm', $file or give_up("nm: $!: apt-get install binutils");
	my ($entry) = map { /^([0-9a-f]+) [tT] \Q$symbol\E$/ ? hex $1 : () } <$from>;
	close $from;
	return $entry;
}

# Addresses of the probes of fault sites: entries of three 32-bit words, of which
# the first is relative to itself.
sub probes
{
	my ($file) = @_;
	my ($address, $bytes) = (0, '');
	my @probes;

	open my $from, '-|', "objdump -s -j fl_sites '$file' 2>/dev/null" or return ();
	while (<$from>) {
		next if !/^ ([0-9a-f]+) ((?:[0-9a-f]+ ){1,4})/;
		$address = hex $1 if $bytes eq '';
		$bytes .= pack 'H*', $2 =~ s/ //gr;
	}
	close $from;
	for (my $at = 0; $at + 12 <= length $bytes; $at += 12) {
		push @probes, $address + $at + unpack 'l<', substr $bytes, $at, 4;
	}
	return @probes;
}

# ---------------------------------------------------------------------------
# Judging.

sub is_jump { return $_[0]{mnemonic} =~ /^j/ }
sub is_call { return $_[0]{mnemonic} =~ /^call/ }
sub is_end { return $_[0]{mnemonic} =~ /^(?:ret|jmp|ud2|hlt)/ }
sub is_padding { return $_[0]{mnemonic} =~ /^(?:nop|data16|int3|endbr)/ || "$_[0]{mnemonic} $_[0]{rest}" eq 'xchg %ax,%ax' }
sub is_push { return $_[0]{mnemonic} =~ /^push/ }
sub is_pop { return $_[0]{mnemonic} =~ /^pop/ }

# Does it store a register to the stack?
sub is_save
{
	my ($i) = @_;

	return $i->{rest} =~ /^%/ if is_push($i);
	return $i->{mnemonic} =~ /^v?mov/ && $i->{rest} =~ /^%\w+,-?(?:0x)?[0-9a-f]*\(%r[sb]p\)$/ &&
	       !($i->{rest} =~ /\(%rbp\)/ && !$i->{frame});
}

# Does it read, write or move the stack?  rbp counts where it is the frame's.
sub on_stack
{
	my ($i) = @_;

	return is_push($i) || is_pop($i) || $i->{mnemonic} =~ /^(?:leave|enter)/ ||
	       $i->{rest} =~ /%rsp/ || ($i->{frame} && $i->{rest} =~ /\(%rbp/);
}

# From instructions in the order of addresses to basic blocks, by first address.
sub blocks
{
	my ($code) = @_;
	my %at = map { $_->{address} => $_ } @$code;
	my (%leader, %blocks, $block);

	$leader{$code->[0]{address}} = 1;
	for my $i (@$code) {
		if (is_jump($i) && $i->{rest} =~ /^(?:0x)?([0-9a-f]+)$/) {
			$i->{to} = hex $1;
			$leader{$i->{to}} = 1 if $at{$i->{to}};
		}
		$leader{$i->{address} + $i->{bytes}} = 1 if is_jump($i) || is_end($i);
	}
	for my $i (sort { $a->{address} <=> $b->{address} } @$code) {
		$block = $blocks{$i->{address}} = { address => $i->{address}, code => [] }
			if !$block || $leader{$i->{address}} || $i->{address} != $block->{end};
		push @{$block->{code}}, $i;
		$block->{end} = $i->{address} + $i->{bytes};
	}
	for my $b (values %blocks) {
		my $last = $b->{code}[-1];

		push @{$b->{next}}, $last->{to} if defined $last->{to} && $blocks{$last->{to}};
		push @{$b->{next}}, $b->{end} if !is_end($last) && $blocks{$b->{end}};
		$b->{calls} = grep { is_call($_) } @{$b->{code}};
	}
	return \%blocks;
}

# What is reached from @from over blocks for which @pass is true.
sub reached
{
	my ($blocks, $pass, @from) = @_;
	my %seen;

	while (@from) {
		my $address = shift @from;
		my $b = $blocks->{$address};

		next if !$b || $seen{$address} || !$pass->($b);
		$seen{$address} = 1;
		push @from, @{$b->{next} // []};
	}
	return \%seen;
}

sub judge
{
	my ($code, $sites, $entry, @probes) = @_;
	my $blocks = blocks($code);
	my $hot = reached($blocks, sub { !$_[0]{calls} }, $entry);
	my $all = reached($blocks, sub { 1 }, $entry);
	my $frame = grep { "$_->{mnemonic} $_->{rest}" eq 'mov %rsp,%rbp' } @$code;
	my %n = map { $_->[0] => 0 } @metrics;

	for my $address (sort { $a <=> $b } keys %$all) {
		my $b = $blocks->{$address};
		my $is_hot = $hot->{$address};
		# The prologue is at the entry, before anything else happens; the
		# epilogue at the end of what returns.
		my $ends = $b->{code}[-1]{mnemonic} =~ /^(?:ret|leave)/;
		my $opens = $address == $entry;

		$_->{frame} = $frame for @{$b->{code}};
		for my $i (@{$b->{code}}) {
			my $frames = on_stack($i) && ($opens && !is_pop($i) || $ends && !is_push($i)) &&
				     (is_push($i) || is_pop($i) || $i->{mnemonic} eq 'leave' ||
				      $i->{rest} =~ /^(?:\$.*,%rsp|-?(?:0x)?[0-9a-f]+\(%r[sb]p\),%rsp|%rsp,%rbp|%rbp,%rsp)$/);

			next if is_padding($i);
			if ($is_hot) {
				$n{hot_bytes} += $i->{bytes};
				$n{hot_instructions}++;
				$n{prologue_ops}++ if $frames;
				$n{pushes}++ if $frames && is_push($i);
				$n{stack_ops}++ if !$frames && on_stack($i);
				$n{saved}++ if $frames && is_save($i);
			} else {
				$n{cold_bytes} += $i->{bytes};
				$n{saved}++ if is_save($i);
			}
		}
	}
	for my $probe (@probes) {
		$n{table_bytes} += 12 if grep { $_->{address} == $probe } @$code;
	}
	$_ /= $sites for values %n;
	return \%n;
}

# ---------------------------------------------------------------------------
# Writing.

my %results;
my @names;
my $json = JSON::PP->new->canonical;

for my $file (@ARGV) {
	my ($folder, $stem) = $file =~ m{(?:([^/]*)/)?([^/]+?)\.[^./]+$}
		or give_up("$file: no module");
	my $name = ($folder // '') =~ /^clang/ ? "$stem\@$folder" : $stem;
	my $code = disassemble($file);
	my @probes = probes($file);

	push @names, $name;
	for my $which (sort keys %functions) {
		my $f = $functions{$which};
		my $body = $code->{$f->{symbol}};

		if (!$body) {
			print STDERR "sitecode.pl: $file has no function $f->{symbol}: is it a module of this version, and not stripped?\n";
			exit 1;
		}
		my ($entry) = entry($file, $f->{symbol});
		$results{$which}{$name} = judge($body, $f->{sites}, $entry, @probes);
	}
}

if ($o{print}) {
	print join("\t", 'module', 'function', map { $_->[0] } @metrics), "\n";
	for my $which (sort keys %results) {
		for my $name (@names) {
			my $n = $results{$which}{$name};

			print join("\t", $name, $which, map { sprintf '%.4g', $n->{$_->[0]} } @metrics), "\n";
		}
	}
	exit 0 if !defined $o{output};
}

# A campaign's folder in which nothing was timed: results/SCHEMA.md.  One cell for
# each function, one arm for each module, one block.
sub spill
{
	my ($path, $text) = @_;

	open my $to, '>', $path or give_up("$path: $!");
	print $to $text;
	close $to or give_up("$path: $!");
}

-e "$o{output}/campaign.json" and give_up("$o{output} holds a campaign already: name another folder");
-d $o{output} or mkdir $o{output} or give_up("$o{output}: $!");

my ($baseline) = (grep({ /^no_check$/ } @names), $names[0]);
my @lines;

for my $which (sort keys %results) {
	for my $name (@names) {
		push @lines, $json->encode({
			schema => 1, campaign => 'sitecode', block => 0, order => scalar @lines,
			cell => "code/function=$which", group => 'code', arm => $name,
			role => $name eq $baseline ? 'baseline' : 'arm', of => undef, repeat => 0,
			status => 'ok', reason => undef, bench => 'sitecode', op => 'site',
			settings => { function => $which }, mode => 'read', flags => [],
			metrics => $results{$which}{$name}, unavailable => {}, latency => undef,
		}) . "\n";
	}
}
spill("$o{output}/plan.ini", "; made by sitecode.pl: nothing was run\n");
spill("$o{output}/results.jsonl", join '', @lines);
spill("$o{output}/campaign.json", $json->encode({
	schema => 1, campaign => 'sitecode', title => 'What an allocation site costs in code',
	profile => 'full', blocks => 1, baseline => $baseline,
	benches => { sitecode => {
		op => 'site', summary => 'machine code of allocation sites, read and not run',
		metrics => [map { { name => $_->[0], unit => $_->[1], definition => $_->[2] } } @metrics],
	} },
}) . "\n");
