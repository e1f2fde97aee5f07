#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# numbers.pl: the paper's numbers, tables and verdicts, out of results.
#
#	perl paper/numbers.pl [--faultline COMMAND] [--ini FILE] [--db FILE]
#		[--output FILE] [DIR...]
#
#	--faultline	the command that is asked (default: faultline)
#	--ini		what is asked (default: numbers.ini beside this script, whose
#			head has the form)
#	--db		where the database of the results is kept between queries
#			(default: nowhere, which makes it again for each)
#	--output	the TeX to write (default: standard output)
#	DIR		directories of campaigns, and of what `faultline kernel
#			--output` left; none: nothing was measured
#
# Statistics are the command's: this script asks, rounds, and writes TeX.  What
# has no result becomes "not measured" in the paper and a warning here.  Exit
# status: 0; 1: a query or the command failed, or the file could not be written;
# 2: the command line or numbers.ini makes no sense.

use strict;
use warnings;
use File::Temp;
use Getopt::Long;
use JSON::PP;

my $here = $0 =~ m{^(.*)/} ? $1 : '.';
my ($faultline, $ini, $db, $output) = ('faultline', "$here/numbers.ini");

sub fail
{
	my ($status, $what) = @_;

	print STDERR "numbers.pl: $what\n";
	exit $status;
}

my $missing = 0;

sub missing
{
	print STDERR "numbers.pl: not measured: $_[0]\n";
	$missing++;
}

GetOptions('faultline=s' => \$faultline, 'ini=s' => \$ini, 'db=s' => \$db,
	   'output=s' => \$output)
	or fail(2, 'usage: numbers.pl [--faultline COMMAND] [--ini FILE] [--db FILE] [--output FILE] [DIR...]');
my @dirs = @ARGV;

# ---- What is asked.

# [number NAME] or [table NAME], then KEY = VALUE; a line that begins with white
# space goes on.
my %keys = (number => { is => 1, as => 1, query => 1 },
	    table => { is => 1, columns => 1, query => 1 });

sub read_ini
{
	my ($file) = @_;
	my (@list, %seen, $section, $key);

	open my $in, '<', $file or fail(2, "$file: $!");
	while (my $line = <$in>) {
		chomp $line;
		next if $line =~ /^\s*([#;].*)?$/;
		if ($line =~ /^\[(number|table) ([a-z0-9-]+)\]\s*$/) {
			fail(2, "$file:$.: $1 $2 is there twice") if $seen{"$1 $2"}++;
			$section = { kind => $1, name => $2, line => $. };
			push @list, $section;
			undef $key;
		} elsif ($line =~ /^([a-z]+)\s*=\s*(.*)$/ && $section) {
			fail(2, "$file:$.: a $section->{kind} has no key \"$1\"")
				unless $keys{$section->{kind}}{$1};
			fail(2, "$file:$.: $1 is there twice") if exists $section->{$1};
			$section->{$key = $1} = $2;
		} elsif ($line =~ /^\s+(.*)$/ && defined $key) {
			$section->{$key} .= " $1";
		} else {
			fail(2, "$file:$.: neither a [number NAME], a [table NAME] nor a KEY = VALUE");
		}
	}
	for my $s (@list) {
		for my $k (sort keys %{$keys{$s->{kind}}}) {
			fail(2, "$file:$s->{line}: $s->{kind} $s->{name} has no $k")
				unless defined $s->{$k};
		}
	}
	return @list;
}

# ---- How it is written.

sub tex
{
	my ($text) = @_;
	my %special = ('\\' => '\\textbackslash{}', '~' => '\\textasciitilde{}',
		       '^' => '\\textasciicircum{}', '<' => '\\textless{}', '>' => '\\textgreater{}',
		       '|' => '\\textbar{}', "\x{2192}" => '$\\rightarrow$', "\x{b5}" => '$\\mu$');

	$text =~ s/([\\~^<>|\x{2192}\x{b5}])|([#\$%&_{}])/defined $1 ? $special{$1} : "\\$2"/ge;
	return $text;
}

# Three digits that count, and none that are not there.
sub digits
{
	my ($x) = @_;
	my $size = abs $x;

	return '0' if $size == 0;
	return sprintf('%.1e', $x) =~ s/e([+-])0*(\d+)/'$\\cdot10^{' . ($1 eq '-' ? '-' : '') . "$2}\$"/er
		if $size < 0.0005;
	my $places = $size >= 100 ? 0 : $size >= 10 ? 1 : $size >= 1 ? 2 : 3;
	return commas(sprintf("%.${places}f", $x));
}

sub commas
{
	my ($text) = @_;

	1 while $text =~ s/^(-?\d+)(\d{3})\b/$1,$2/;
	return $text;
}

# Each writes one value, or two with one unit.
sub scaled
{
	my ($steps, @x) = @_;
	my ($unit, $by) = @{$steps->[-1]};
	my ($largest) = sort { $b <=> $a } map { abs } @x;

	for my $step (@$steps) {
		($unit, $by) = @$step, last if $largest < 1000 * $step->[1];
	}
	return (map({ digits($_ / $by) } @x), "\\,$unit");
}

my @ns = (['ns', 1], ['$\\mu$s', 1e3], ['ms', 1e6], ['s', 1e9]);
my %as = (
	time => sub { scaled(\@ns, @_) },
	ratio => sub { (map({ digits($_) } @_), '') },
	share => sub { (map({ digits(100 * $_) } @_), '\\,\\%') },
	count => sub { (map({ commas(sprintf('%.0f', $_)) } @_), '') },
	plain => sub { (map({ $_ == int $_ ? commas($_) : digits($_) } @_), '') },
	bytes => sub {
		my ($largest) = sort { $b <=> $a } map { abs } @_;
		my ($unit, $by) = $largest < 1024 ? ('B', 1) : $largest < 1 << 20 ? ('KiB', 1 << 10) :
			$largest < 1 << 30 ? ('MiB', 1 << 20) : ('GiB', 1 << 30);
		(map({ $_ / $by == int($_ / $by) ? commas($_ / $by) : digits($_ / $by) } @_), "\\,$unit");
	},
);

sub one
{
	my ($as, $x) = @_;

	return '\\notmeasured' unless defined $x;
	return tex($x) if $as eq 'text';
	return join '', $as{$as}->($x);
}

sub interval
{
	my ($as, $low, $high) = @_;

	return 'no interval' unless defined $low && defined $high;
	my ($l, $h, $unit) = $as{$as}->($low, $high);
	return $l eq $h ? "[$l]$unit" : "[$l, $h]$unit";
}

# ---- The command.

sub ask
{
	my ($may_exit, @command) = @_;

	open my $pipe, '-|:encoding(UTF-8)', $faultline, @command or fail(1, "$faultline: $!");
	local $/;
	my $json = <$pipe>;
	close $pipe;
	my $status = $? >> 8;
	fail(1, "$faultline $command[0]: ended by signal " . ($? & 127)) if $? & 127;
	return (undef, $status) unless $may_exit->{$status};
	return (JSON::PP->new->decode($json), $status);
}

# A column that no campaign has is a metric that nothing measured.  Anything else
# that the command refuses is a mistake of ours.
sub query
{
	my ($s) = @_;

	return [] unless @dirs;
	my $errors = File::Temp->new;
	open my $saved, '>&', \*STDERR or fail(1, "stderr: $!");
	open STDERR, ">&", $errors or fail(1, "stderr: $!");
	my ($rows, $status) = ask({ 0 => 1 }, 'query', '--json', defined $db ? "--db=$db" : (), @dirs,
				  $s->{query});
	open STDERR, '>&', $saved or exit 1;
	open my $in, "<", $errors->filename or fail(1, "$errors: $!");
	my $said = join "", <$in>;
	return $rows if defined $rows;
	fail(1, "$ini:$s->{line}: $s->{kind} $s->{name}: $said") unless $said =~ /no such column/;
	return [];
}

# ---- The file.

my @out;

sub define
{
	my ($name, $tex) = @_;

	push @out, "\\FLdef{$name}{$tex}";
}

sub write_number
{
	my ($s) = @_;
	my $as = $s->{as};

	fail(2, "$ini:$s->{line}: number $s->{name}: as is " . join(', ', sort(keys %as), 'text'))
		unless $as eq 'text' || $as{$as};
	my $rows = query($s);
	fail(2, "$ini:$s->{line}: number $s->{name}: the query gives " . @$rows . ' rows')
		if @$rows > 1;
	my $row = @$rows ? $rows->[0] : {};
	my ($value, $low, $high, $n) = @$row{qw(value low high n)};

	missing("$s->{name} ($s->{is})") unless defined $value;
	define("value/$s->{name}", one($as, $value));
	define("interval/$s->{name}", defined $value ? interval($as, $low, $high) : '\\notmeasured')
		unless $as eq 'text';
	define("n/$s->{name}", defined $n ? commas($n) : '0');
	# Which side of 1 all of the interval is on, for \sidecase.
	define("side/$s->{name}", !defined $value ? 3 : !defined $low || !defined $high ? 2 :
	       $high < 1 ? 0 : $low > 1 ? 1 : 2) unless $as eq 'text';
}

# COLUMN:AS, or LOW..HIGH:AS for an interval.
sub write_table
{
	my ($s) = @_;
	my @columns = split ' ', $s->{columns};
	my @lines;
	my $rows = query($s);

	for my $c (@columns) {
		$c =~ /^([a-z_]+)(?:\.\.([a-z_]+))?:([a-z]+)$/ && ($3 eq 'text' || $as{$3}) or
			fail(2, "$ini:$s->{line}: table $s->{name}: no column is like \"$c\"");
	}
	for my $row (@$rows) {
		push @lines, join(' & ', map {
			/^([a-z_]+)(?:\.\.([a-z_]+))?:([a-z]+)$/;
			!defined $row->{$1} ? '--' :
				defined $2 ? interval($3, $row->{$1}, $row->{$2}) : one($3, $row->{$1});
		} @columns) . '\\\\';
	}
	unless (@lines) {
		missing("table $s->{name} ($s->{is})");
		@lines = '\\multicolumn{' . @columns . '}{l}{\\notmeasured}\\\\';
	}
	define("rows/$s->{name}", join("%\n", @lines));
}

my %case = (CONFIRMED => 0, REFUTED => 1, INCONCLUSIVE => 2, 'NOT MEASURED' => 3);

sub write_verdicts
{
	my ($answer, $status) = @dirs ? ask({ 0 => 1, 1 => 1 }, 'verdict', '--all', '--json', @dirs)
				      : ({ verdicts => [] }, 0);
	my (%notes, %of_note);

	fail(1, "$faultline verdict: exit status $status") unless defined $answer;
	for my $v (@{$answer->{verdicts}}) {
		my ($claim, $verdict) = @$v{qw(claim verdict)};
		my $value = '';

		fail(1, "$claim: unknown verdict $verdict") unless exists $case{$verdict};
		if (defined $v->{value}) {
			my $unit = defined $v->{unit} ? ' ' . tex($v->{unit}) : '';
			my $interval = defined $v->{low} && $v->{low} == $v->{value} &&
				defined $v->{high} && $v->{high} == $v->{value} ? '' :
				' ' . interval('plain', $v->{low}, $v->{high});
			$value = one('plain', $v->{value}) . $interval . $unit;
		}
		missing("claim $claim: " . ($v->{reason} // '')) if $verdict eq 'NOT MEASURED';
		define("verdict/$claim", $verdict);
		define("case/$claim", $case{$verdict});
		define("value/$claim", defined $v->{value} ? one('plain', $v->{value}) : '\\notmeasured');
		define("interval/$claim", defined $v->{value} ? interval('plain', $v->{low}, $v->{high})
							      : '\\notmeasured');
		define("n/$claim", commas($v->{n} // 0));
		$notes{$v->{note}}{$verdict}++;
		# What goes on from the claim before goes on in its paragraph.
		my $macro = $of_note{$v->{note}} && $v->{says} =~ /^(?:The same|And|Nor|Or)\b/ ? 'claimmore' : 'claimitem';
		push @{$of_note{$v->{note}}}, "\\$macro\{$claim}{" . tex($v->{says}) . "}{$verdict}{$value}{" .
			commas($v->{n} // 0) . '}{' .
			($verdict eq 'NOT MEASURED' ? tex($v->{reason} // '') : '') . '}';
	}
	define("claims/$_", join("%\n", @{$of_note{$_}})) for sort keys %of_note;
	my @rows;
	my %sum;
	for my $note ((map { "N$_" } 1 .. 13), 'Q1', 'Q2') {
		my $of = $notes{$note};

		unless ($of) {
			missing("$note: no claim of it is known");
			push @rows, "$note & \\multicolumn{4}{l}{\\notmeasured}\\\\";
			next;
		}
		$sum{$_} += $of->{$_} // 0 for keys %case;
		push @rows, join(' & ', $note, map { $of->{$_} // 0 }
				 sort { $case{$a} <=> $case{$b} } keys %case) . '\\\\';
	}
	define('rows/verdicts', join("%\n", @rows));
	define("count/$_", $sum{$_} // 0) for sort keys %case;
}

my @list = read_ini($ini);

push @out, '% Written by paper/numbers.pl; do not edit.';
write_verdicts();
$_->{kind} eq 'number' ? write_number($_) : write_table($_) for @list;
define('missing', $missing);

my $text = join("\n", @out) . "\n";
if (defined $output) {
	open my $file, '>:encoding(UTF-8)', "$output.new" or fail(1, "$output.new: $!");
	print $file $text;
	close $file or fail(1, "$output.new: $!");
	rename "$output.new", $output or fail(1, "$output: $!");
} else {
	binmode STDOUT, ':encoding(UTF-8)';
	print $text;
}
