#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The folders are layers: a file includes only headers of its own folder and of
# those below.  shared/ knows neither nginx nor curl, and processes never
# include each other.  Each header has an include guard of its own.

use warnings;
use strict;

use Test::More;

# Bottom to top, as the map of HACKING.md has them.
my @order = qw(include base limit event schema store keys log read delivery
    registry token catalogue checkpoint publish manage inspect open);
my %rank;
@rank{@order} = 0 .. $#order;

my (@up, @foreign, %guard);

for my $file (sort split /\n/, `find shared -name '*.[ch]'`) {
    my ($folder) = $file =~ m{^shared/(\w+)/\w+\.[ch]$};
    ok(defined $folder && defined $rank{$folder}, "$file is in a known folder")
        or next;
    for my $include (includes($file)) {
        my ($to, $name) = $include =~ m{^(?:(\w+)/)?(\w+)\.h$};
        $to //= 'include';
        push @up, "$file: $include" if !defined $rank{$to}
            || $rank{$to} > $rank{$folder} || !-e "shared/$to/$name.h";
    }
    push @foreign, $file
        if slurp($file) =~ m{#\s*include\s*<(?:ngx_|nginx|curl/|ev\.h)};
}
is_deeply(\@up, [], 'no file of shared/ includes a header of a layer above');
is_deeply(\@foreign, [], 'shared/ includes neither nginx nor curl nor libev');

# What a process includes is its own or shared/'s.
for my $process (qw(ngx_module dispatcher ctl)) {
    my @others = grep { !-e "$process/$_->[1]" && !-e "shared/$_->[1]"
            && !-e "shared/include/$_->[1]" && $_->[1] !~ /^ngx_/ }
        map { my $file = $_; map { [$file, $_] } includes($file) }
        glob "$process/*.[ch]";
    is_deeply(\@others, [], "$process/ includes its own headers and shared/'s");
}

push @{ $guard{$_->[1]} }, $_->[0]
    for map { my $file = $_; map { [$file, $_] } slurp($file)
        =~ /^#ifndef (\w+_H(?:_INCLUDED_)?)$/m }
    split /\n/, `git ls-files '*.h' 2>/dev/null || find . -name '*.h'`;
is_deeply([ map { "$_: @{ $guard{$_} }" }
    grep { @{ $guard{$_} } > 1 } sort keys %guard ], [],
    'no two headers have the same include guard');

done_testing();

sub includes {
    my ($file) = @_;
    return slurp($file) =~ /^\s*#\s*include\s+"([^"]+)"/mg;
}

sub slurp {
    my ($name) = @_;
    open my $fh, '<', $name or die "$name: $!\n";
    local $/;
    return <$fh>;
}
