#!/usr/bin/env perl
# SPDX-License-Identifier: MIT
#
# sitecache.pl: how many instructions do allocation sites take, and how many misses of the
# instruction cache, with 256 and with 4,096 of them?  Runs the bench `icache` under
# callgrind and writes a folder that `faultline report` takes.
#
#	sitecache.pl [--faultline FILE] [--output DIR] [--copies LIST] NAME...
#
#	--faultline FILE  the command; default: $FAULTLINE, or faultline
#	--output DIR      the folder, which is made; without, a line of tab-separated
#	                  numbers for each name and number of copies
#	--copies LIST     how often modules are loaded; default: 1,16
#
# NAME is one of the bench's strategies, or NAME@clang.
#
# Only the kernel's function is counted, in each copy.  What warming up and checking
# take is in two runs of different length alike, and their difference is what counts.
# The caches are simulated: I1 and D1 of 32 KiB with 8 ways, lines of 64 bytes, LL as
# callgrind finds it.
#
# Exit status: 0; 1 when a run failed; 2 when nothing can be run.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Getopt::Long;
use JSON::PP;

my @metrics = (
	[ir => 'instructions', '1', 'instructions per allocation, by callgrind'],
	[i1mr => 'i1_misses', '1', 'fetches per allocation that miss a simulated instruction cache of 32 KiB'],
	[ilmr => 'llc_code_misses', '1', 'of these, how many miss the last cache'],
);
my $symbol = 'fl_run_sites_0_register_timed';
my @ops = (256 * 64, 256 * 320);
my %o = (faultline => $ENV{FAULTLINE} // 'faultline', copies => '1,16');

sub give_up
{
	my $status = shift;

	print STDERR "sitecache.pl: @_\n";
	exit $status;
}

GetOptions(\%o, 'faultline=s', 'output=s', 'copies=s') && @ARGV
	or give_up(2, 'usage: sitecache.pl [--faultline FILE] [--output DIR] [--copies LIST] NAME...');
system('valgrind --version >/dev/null 2>&1') == 0
	or give_up(2, 'no valgrind: apt-get install valgrind');

my $scratch = tempdir(CLEANUP => 1);

# What callgrind counted of the kernel, by event; and whether the bench is supported.
sub run
{
	my ($set, $ops) = @_;
	my (%counted, @events);

	unlink glob "$scratch/out.*";
	# The sample is a child of the command, which may itself be one of libtool's script.
	my $said = qx(valgrind --tool=callgrind --trace-children=yes --cache-sim=yes \\
		--I1=32768,8,64 --D1=32768,8,64 --toggle-collect=$symbol \\
		--callgrind-out-file='$scratch/out.%p' '$o{faultline}' bench icache \\
		--set '$set' --ops $ops 2>'$scratch/said');
	my $status = $? >> 8;

	return undef if $status == 77;
	$status == 0 or give_up(1, "icache $set under callgrind: exit status $status: $said");
	for my $file (glob "$scratch/out.*") {
		open my $from, '<', $file or give_up(1, "$file: $!");
		while (my $line = <$from>) {
			@events = split ' ', lc $1 if $line =~ /^events: (.*)/;
			next if $line !~ /^(?:totals|summary): (.*)/;
			my @n = split ' ', $1;
			$counted{$events[$_]} += $n[$_] for 0 .. $#n;
			last;
		}
		close $from;
	}
	$counted{ir} or give_up(1, "icache $set: callgrind saw no $symbol: are the modules stripped?");
	return \%counted;
}

# ---------------------------------------------------------------------------

my (@lines, @names, %seen);
my $json = JSON::PP->new->canonical;

for my $copies (split /,/, $o{copies}) {
	for my $name (@ARGV) {
		my ($strategy, $compiler) = split /@/, $name;
		my $set = "strategy=$strategy,copies=$copies" . ($compiler ? ",compiler=$compiler" : '');
		my ($few, $many) = map { run($set, $_) } @ops;
		my $ok = $few && $many;
		my %n;

		%n = map { $_->[1] => ($many->{$_->[0]} - $few->{$_->[0]}) / ($ops[1] - $ops[0]) } @metrics
			if $ok;
		push @names, $name if !$seen{$name}++;
		push @lines, [$name, $copies, $ok ? \%n : undef];
	}
}
if (!defined $o{output}) {
	print join("\t", 'module', 'copies', map { $_->[1] } @metrics), "\n";
	for my $line (@lines) {
		print join("\t", $line->[0], $line->[1], map { $line->[2] ?
			sprintf('%.4g', $line->[2]{$_->[1]}) : '-' } @metrics), "\n";
	}
	exit 0;
}

# As sitecode.pl: a campaign's folder in which nothing was timed.
sub spill
{
	my ($path, $text) = @_;

	open my $to, '>', $path or give_up(2, "$path: $!");
	print $to $text;
	close $to or give_up(2, "$path: $!");
}

-e "$o{output}/campaign.json" and give_up(2, "$o{output} holds a campaign already: name another folder");
-d $o{output} or mkdir $o{output} or give_up(2, "$o{output}: $!");

my ($baseline) = (grep({ /^no_check$/ } @names), $names[0]);
my $order = 0;

spill("$o{output}/plan.ini", "; made by sitecache.pl: callgrind's counts\n");
spill("$o{output}/results.jsonl", join '', map {
	my ($name, $copies, $n) = @$_;

	$json->encode({
		schema => 1, campaign => 'sitecache', block => 0, order => $order++,
		cell => "cache/copies=$copies", group => 'cache', arm => $name,
		role => $name eq $baseline ? 'baseline' : 'arm', of => undef, repeat => 0,
		status => $n ? 'ok' : 'unsupported',
		reason => $n ? undef : 'the bench icache says why',
		bench => 'sitecache', op => 'allocation', settings => { copies => $copies },
		mode => 'simulated', flags => [], metrics => $n // {}, unavailable => {},
		latency => undef,
	}) . "\n"
} @lines);
spill("$o{output}/campaign.json", $json->encode({
	schema => 1, campaign => 'sitecache', title => 'Allocation sites in a simulated instruction cache',
	profile => 'full', blocks => 1, baseline => $baseline,
	benches => { sitecache => {
		op => 'allocation', summary => 'allocation sites, run by callgrind',
		metrics => [map { { name => $_->[1], unit => $_->[2], definition => $_->[3] } } @metrics],
	} },
}) . "\n");
